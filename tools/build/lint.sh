#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The checks that need no run of the code. Each is one TAP result; what it found
# is printed below as comments.
#
#   lint.sh [CHECK...]   checks: licences sizes checkpatch qemu-style sparse shell
#                        python prm

. "$(dirname "$0")/lib.sh"

in_root=$SVAN_TOP/tools/build/in-root
cd "$SVAN_TOP" || exit

# files PATTERN...: those that git knows or would add.
files() { git ls-files --cached --others --exclude-standard --deduplicate -- "$@" | existing; }
existing() {
	local file
	while read -r file; do
		[ ! -f "$file" ] || printf '%s\n' "$file"
	done
}

# scripts INTERPRETER: scripts and sourced fragments, whatever their names.
scripts() {
	local file line
	while read -r file; do
		IFS= read -r line <"$file" || true
		case "$1 $line" in
		shell\ '#!'*/bash* | shell\ '#!'*/sh* | python\ '#!'*python3*) echo "$file" ;;
		esac
	done < <(files . 2>/dev/null | grep -vE '\.(bin|pcap|png|gz)$')
}

# Every file says its licence, and the folders keep theirs.
check_licences() {
	local file tag bad=0
	while read -r file; do
		case $file in
		LICENSES/* | *.pcap | *.bin | *.png | */seeds/* | */corpus/*) continue ;;
		esac
		tag=$(head -n 20 "$file" | sed -n 's/.*SPDX-License-Identifier: *//p' | head -n 1)
		tag=${tag% \*/}
		case "$file $tag" in
		*' ') echo "$file: no SPDX-License-Identifier"; bad=1 ;;
		include/svan/*' GPL-2.0 OR Linux-OpenIB') ;;
		include/uapi/*' ((GPL-2.0 WITH Linux-syscall-note) OR Linux-OpenIB)') ;;
		include/*) echo "$file: not the licence of shared headers: $tag"; bad=1 ;;
		tools/lib/svan/*' GPL-2.0 OR Linux-OpenIB') ;;
		tools/lib/svan/*) echo "$file: not the licence of the provider: $tag"; bad=1 ;;
		qemu-hw/*' GPL-2.0-or-later') ;;
		qemu-hw/*) echo "$file: not the licence of the device: $tag"; bad=1 ;;
		drivers/*' GPL-2.0' | drivers/*' GPL-2.0-only') ;;
		drivers/*) echo "$file: not the licence of the drivers: $tag"; bad=1 ;;
		esac
	done < <(files .)
	return $bad
}

# Tests are held to it like everything else.
check_sizes() {
	{ files '*.c' '*.h' '*.py' '*.sh'; scripts shell; scripts python; } | sort -u |
		xargs tools/build/check-sizes
}

# The kernel's style, for the drivers and the shared headers. checkpatch knows no
# macros that are lists (X-macros), and the shared headers serve user space too,
# which has neither BIT() nor __packed. Tracepoints are laid out as the kernel lays
# them out, which its strict mode does not know.
check_checkpatch() {
	local ignore=FILE_PATH_CHANGES,CONFIG_DESCRIPTION,CAMELCASE,MACRO_ARG_REUSE
	ignore+=,MACRO_ARG_PRECEDENCE,COMPLEX_MACRO,TRAILING_SEMICOLON
	local rc=0
	files 'drivers/*.[ch]' ':!*_trace.h' | checkpatch --strict --ignore "$ignore" || rc=1
	files 'drivers/*_trace.h' | checkpatch --strict \
		--ignore "$ignore,PARENTHESIS_ALIGNMENT,OPEN_ENDED_LINE" || rc=1
	ignore+=,BIT_MACRO,PREFER_DEFINED_ATTRIBUTE_MACRO
	files 'include/*.h' | checkpatch --strict --ignore "$ignore" || rc=1
	return $rc
}

checkpatch() {
	xargs -r "$in_root" perl build/linux/scripts/checkpatch.pl --no-tree --no-summary \
		--quiet --terse --show-types --file "$@"
}

# QEMU's style, for the device, but lines of up to 100 columns (see sizes), and
# macros that are lists.
check_qemu_style() {
	local known='line over [0-9]+ characters|Macros with (complex values|multiple statements)'
	known+='|space prohibited before that close parenthesis|suspect code indent'
	! { files 'qemu-hw/*.[ch]' 'tests/qtest/*.[ch]' | xargs -r "$in_root" perl \
		build/qemu-src/scripts/checkpatch.pl --no-tree --no-signoff --no-summary \
		--quiet --terse --file | grep -vE "$known"; }
}

check_sparse() { tools/build/modules.sh check; }

check_shell() { scripts shell | xargs "$in_root" shellcheck -x -P SCRIPTDIR -S warning; }

check_python() {
	scripts python | xargs "$PYTHON" -c 'import ast, sys
for name in sys.argv[1:]:
    with open(name, encoding="utf-8") as file:
        ast.parse(file.read(), name)'
}

# The rooms of the core, as objects and as sources. Objects whose source has gone
# since the last build are not the core's.
check_rooms() {
	local objects=build/tests/opt/core object
	make -s -C tests ../build/tests/opt/libcore.a || return
	while read -r object; do
		[ -e "qemu-hw/core/${object%.o}.c" ] || rm "$objects/$object"
	done < <(cd "$objects" && find . -name '*.o')
	tools/check-rooms "$objects" && tools/check-circles "$objects"
}

# The manual's tables against the headers.
check_prm() { tools/check-prm; }

checks=("$@")
[ $# -gt 0 ] ||
	checks=(licences sizes rooms checkpatch qemu-style sparse shell python prm)
for name in "${checks[@]}"; do
	declare -F "check_${name//-/_}" >/dev/null || die "no such check: $name"
done
# All at once, since most of them keep one CPU busy; told in order.
running=()
for name in "${checks[@]}"; do
	(check_"${name//-/_}") >"$SVAN_LOGS/lint-$name.log" 2>&1 </dev/null &
	running+=($!)
done
status=0
echo "1..${#checks[@]}"
for ((i = 0; i < ${#checks[@]}; i++)); do
	name=${checks[i]}
	if wait "${running[i]}"; then
		echo "ok $((i + 1)) $name"
	else
		status=1
		echo "not ok $((i + 1)) $name"
		sed 's/^/# /' "$SVAN_LOGS/lint-$name.log"
	fi
done
exit $status
