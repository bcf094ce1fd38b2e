# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# A private apt state for the suite Svan is built from, under the cache. The
# system's own apt configuration is read, never changed: from it come the
# mirror, proxies, credentials and date checks. Sourced after lib.sh.

APT_DIR=$SVAN_CACHE/apt-$SVAN_SUITE
APT_KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg
APT_MAX_AGE=$((7 * 24 * 60)) # minutes until the index is fetched again

# The mirror of the machine's own Debian main archive: by origin where an index
# was ever fetched, else by the release's name.
apt_mirror() {
	local codename
	codename=$(. /etc/os-release && printf '%s' "${VERSION_CODENAME:-}")
	# shellcheck disable=SC2016 # apt's variables
	local fields='$(IDENTIFIER)|$(ORIGIN)|$(CODENAME)|$(RELEASE)|$(REPO_URI)'
	apt-get indextargets --format "$fields" |
		awk -F'|' -v c="$codename" '
			$1 != "Packages" { next }
			$2 == "Debian" && $3 == c { print 1, $5 }
			$4 == c && $5 ~ /\/debian\/?$/ { print 2, $5 }
			$5 !~ /\/debian\/?$/ { next }
			$4 ~ /^(stable|oldstable|testing|sid)$/ { print 3, $5 }' |
		sort -n | awk 'NR == 1 { print $2 }'
}

# The scalar Acquire:: settings of the machine (proxies, date checks, time-outs):
# mmdebstrap does not read /etc/apt/apt.conf.d by itself.
apt_acquire_options() {
	local names='Check-|Max-|http|https|ftp|Retries|Languages|AllowReleaseInfoChange'
	apt-config dump --format '%F "%v";%n' 2>/dev/null | grep -E "^Acquire::($names)" |
		grep -v '""' || true
}

apt_configure() {
	local mirror
	[ -r "$APT_KEYRING" ] || die "no $APT_KEYRING: install debian-archive-keyring"
	mirror=$(apt_mirror)
	[ -n "$mirror" ] ||
		die "no Debian mirror in this machine's apt configuration (apt-get indextargets)"
	mkdir -p "$APT_DIR"/{lists,cache/archives}/partial
	: >"$APT_DIR/status"
	write_if_changed "$APT_DIR/sources.list" <<-EOF
		deb [signed-by=$APT_KEYRING] $mirror $SVAN_SUITE main
		deb-src [signed-by=$APT_KEYRING] $mirror $SVAN_SUITE main
	EOF
	apt_acquire_options | write_if_changed "$APT_DIR/acquire.conf"
	APT_OPTIONS=(
		-o "Dir::Etc::sourcelist=$APT_DIR/sources.list"
		-o "Dir::Etc::sourceparts=/dev/null"
		-o "Dir::Etc::preferencesparts=/dev/null"
		-o "Dir::Etc::preferences=/dev/null"
		-o "Dir::State::lists=$APT_DIR/lists"
		-o "Dir::State::status=$APT_DIR/status"
		-o "Dir::Cache=$APT_DIR/cache"
		-o "APT::Architecture=$SVAN_ARCH"
		-o "APT::Sandbox::User="
	)
}

# apt_index: make sure there is an index; fetch it when old or missing.
apt_index() {
	apt_configure
	if [ -n "$(find "$APT_DIR/lists" -maxdepth 1 -name '*Sources*' -mmin -$APT_MAX_AGE)" ] &&
	   [ "$APT_DIR/lists" -nt "$APT_DIR/sources.list" ]; then
		return
	fi
	step "fetching the package index of $SVAN_SUITE"
	logged apt-update apt-get "${APT_OPTIONS[@]}" -o APT::Update::Error-Mode=any update
	touch "$APT_DIR/lists"
}

# apt_has PACKAGE
apt_has() { apt-cache "${APT_OPTIONS[@]}" show "$1" >/dev/null 2>&1; }

# apt_kernel_release: the pinned release if the suite has it, else the newest of
# the series.
apt_kernel_release() {
	local newest
	if apt_has "linux-headers-$KERNEL_RELEASE"; then
		printf '%s' "$KERNEL_RELEASE"
		return
	fi
	newest=$(apt-cache "${APT_OPTIONS[@]}" pkgnames "linux-headers-$KERNEL_SERIES." |
		grep -E "^linux-headers-[0-9.]+\+deb[0-9.]+-$SVAN_ARCH\$" |
		sed 's/^linux-headers-//' | sort -V | tail -n 1 || true)
	[ -n "$newest" ] || die "suite $SVAN_SUITE offers no Linux $KERNEL_SERIES;" \
		"set KERNEL_SERIES and KERNEL_RELEASE in tools/build/versions.sh"
	warn "suite $SVAN_SUITE no longer has Linux $KERNEL_RELEASE, taking $newest"
	printf '%s' "$newest"
}

# apt_source_version PACKAGE VERSION [SERIES]: the Debian version of the upstream
# VERSION of a source package, else the newest of the SERIES.
apt_source_version() {
	local wanted found
	for wanted in "$2" ${3:+"$3"}; do
		found=$(apt-cache "${APT_OPTIONS[@]}" showsrc --only-source "$1" 2>/dev/null |
			sed -n 's/^Version: //p' | sort -V |
			grep -E "^([0-9]+:)?${wanted//./\\.}([^0-9]|\$)" | tail -n 1 || true)
		[ -z "$found" ] || break
	done
	[ -n "$found" ] ||
		die "suite $SVAN_SUITE has no source $1 $2; see tools/build/versions.sh"
	[ "$wanted" = "$2" ] || warn "suite $SVAN_SUITE no longer has $1 $2, taking $found"
	printf '%s' "$found"
}
