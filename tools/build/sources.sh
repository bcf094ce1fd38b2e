#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Debian source packages, fetched with the private apt state and checked against
# the signed index.
#
#   sources.sh unpack DIR PACKAGE VERSION [SERIES] unpack, with Debian's patches
#   sources.sh linux-tarball                       fetch linux-source, print its path
#   sources.sh linux-tools                         build/linux: checkpatch, kselftest
#                                                  headers, kernel-doc of that source

. "$(dirname "$0")/lib.sh"
. "$SVAN_TOP/tools/build/apt.sh"

downloads=$SVAN_CACHE/downloads

# The stanza of one version of a source package.
source_stanza() {
	apt-cache "${APT_OPTIONS[@]}" showsrc --only-source "$1" |
		awk -v RS= -v want="$2" '{ n = split($0, l, "\n")
			for (i = 1; i <= n; i++) if (l[i] == "Version: " want) { print; exit } }'
}

# fetch_source PACKAGE VERSION: every file but the .dsc, which a mirror may lack;
# the hashes come from the signed index. Prints the names of the files.
fetch_source() {
	local stanza mirror dir hash size name
	stanza=$(source_stanza "$1" "$2")
	[ -n "$stanza" ] || die "no source of $1 $2 in the index of $SVAN_SUITE"
	mirror=$(apt_mirror)
	dir=$(sed -n 's/^Directory: //p' <<<"$stanza")
	mkdir -p "$downloads"
	awk '/^Checksums-Sha256:/ { on = 1; next } /^[^ ]/ { on = 0 } on' <<<"$stanza" |
	while read -r hash size name; do
		case $name in
		*.dsc | *.asc) continue ;;
		esac
		fetch_file "${mirror%/}/$dir/$name" "$hash" "$size"
		echo "$downloads/$name"
	done
}

fetch_file() {
	local name=${1##*/}
	if [ ! -f "$downloads/$name" ] ||
	   [ "$(sha256sum <"$downloads/$name")" != "$2  -" ]; then
		step "fetching $name ($(($3 / 1048576 + 1)) MiB)"
		rm -f "$downloads/$name"
		logged "fetch-$name" /usr/lib/apt/apt-helper "${APT_OPTIONS[@]}" \
			download-file "$1" "$downloads/$name" "SHA256:$2"
	fi
}

apply_patches() {
	local dir=$1 name
	[ -f "$dir/debian/patches/series" ] || return 0
	sed 's/[[:space:]]*#.*//' "$dir/debian/patches/series" |
	while read -r name _; do
		[ -n "$name" ] || continue
		patch -d "$dir" -p1 -s -f --no-backup-if-mismatch <"$dir/debian/patches/$name"
	done
}

unpack_into() {
	local dir=$1 file
	shift
	rm -rf "$dir"
	mkdir -p "$dir"
	for file; do
		case $file in
		*.orig.tar.*) tar -xf "$file" -C "$dir" --strip-components=1 ;;
		esac
	done
	for file; do
		case $file in
		*.debian.tar.*) tar -xf "$file" -C "$dir" ;;
		esac
	done
	apply_patches "$dir"
}

unpack() {
	local dir=$1 package=$2 version files
	shift
	apt_index
	version=$(apt_source_version "$@")
	files=$(fetch_source "$package" "$version")
	step "unpacking $package $version"
	# shellcheck disable=SC2086
	logged "unpack-$package" unpack_into "$dir" $files
}

# The package version that belongs to the kernel of the build root.
linux_version() {
	apt-cache "${APT_OPTIONS[@]}" show "linux-headers-$(kernel_release)" |
		sed -n 's/^Version: //p' | head -n 1
}

linux_tarball() {
	local version deb tarball
	apt_index
	version=$(linux_version)
	[ -n "$version" ] || die "suite $SVAN_SUITE no longer has Linux $(kernel_release);" \
		"remove the build root in $SVAN_CACHE to take what it has"
	tarball=$downloads/$KERNEL_SOURCE_PACKAGE-$version.tar.xz
	if [ ! -f "$tarball" ]; then
		mkdir -p "$downloads/deb"
		step "fetching $KERNEL_SOURCE_PACKAGE $version (150 MiB)"
		logged linux-fetch env -C "$downloads/deb" apt-get "${APT_OPTIONS[@]}" \
			download "$KERNEL_SOURCE_PACKAGE=$version"
		deb=$(ls "$downloads/deb/$KERNEL_SOURCE_PACKAGE"_*.deb)
		logged linux-unpack dpkg-deb -x "$deb" "$downloads/deb/tree"
		mv "$downloads/deb/tree/usr/src/$KERNEL_SOURCE_PACKAGE.tar.xz" "$tarball"
		rm -rf "$downloads/deb"
	fi
	echo "$tarball"
}

linux_tools() {
	local dir tarball top=$KERNEL_SOURCE_PACKAGE
	dir=$SVAN_CACHE/linux-tools-$(key_of 1 "$(kernel_release)")
	if [ ! -d "$dir" ]; then
		tarball=$(linux_tarball)
		step "unpacking checkpatch, kselftest and kernel-doc from $top"
		rm -rf "$dir.tmp"
		mkdir -p "$dir.tmp"
		logged linux-tools tar -xf "$tarball" -C "$dir.tmp" --strip-components=1 \
			"$top/scripts" "$top/LICENSES" "$top/Documentation/sphinx" \
			"$top/tools/testing/selftests/kselftest" \
			"$top/tools/testing/selftests/kselftest.h" \
			"$top/tools/testing/selftests/kselftest_harness.h"
		mv "$dir.tmp" "$dir"
	fi
	publish "$dir" "$SVAN_BUILD/linux"
}

take_lock sources
case ${1:-} in
unpack) unpack "${@:2}" ;;
linux-tarball) linux_tarball ;;
linux-tools) linux_tools ;;
*) die "usage: sources.sh unpack DIR PACKAGE VERSION [SERIES] | linux-tarball | linux-tools" ;;
esac
