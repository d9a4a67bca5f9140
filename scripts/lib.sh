# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034 # variables that others use
#
# Shared by the scripts beside this file: where things are kept, messages,
# and steps with progress. Source it; it sets no option and runs nothing long.

RPP_TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
RPP_CACHE=${RPP_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/rust-page-pool}
RPP_CACHE=$(realpath -m "$RPP_CACHE")
RPP_LOG=$RPP_CACHE/log

# Of the package for DKMS.
RPP_VERSION=1.0

# The kernel series whose Rust abstractions the modules are written against, and
# the Debian package version that they were tried with.
SUPPORTED=7.3
TRIED='7.3.4-1~bpo13+1'

# Debian 13 has the compilers that Debian builds its 7.3 kernels with. What is
# needed to prepare a kernel's Rust metadata and to build modules:
MODULE_PACKAGES='rustc rust-src bindgen rustfmt rust-clippy gcc gcc-14 make flex bison
	libelf-dev libssl-dev bc libdw-dev kmod cpio xz-utils perl python3 rsync pahole'
# And a kernel:
BUILD_PACKAGES="$MODULE_PACKAGES
	clang-19 lld-19 llvm-19"
# And in the build root also what tests run, what the VM's programs come from, and QEMU: the same one whatever
# this machine has, so that figures are the same.
ROOT_PACKAGES="$BUILD_PACKAGES qemu-system-x86 cargo shellcheck libc6-dev mount iproute2 ethtool
	bpftool procps iputils-ping socat tcpdump bsdextrautils kexec-tools busybox-static
	libbpf-dev python3-matplotlib python3-yaml iperf3 ca-certificates"

say() { printf '%s\n' "$*" >&2; }
warn() { printf 'warning: %s\n' "$*" >&2; }
die() {
	printf 'error: %s\n' "$*" >&2
	exit 1
}

# Neither can Kbuild.
[[ $RPP_TOP$RPP_CACHE != *[[:space:]:]* ]] ||
	die "spaces and colons in a path cannot be handled: move $RPP_TOP, or set RPP_CACHE"

duration() { printf '%d:%02d' $(($1 / 60)) $(($1 % 60)); }

# Prints how far a step should be. Runs beside the step, which stays in the
# foreground so that ^C reaches it; ends when the script is gone.
ticker() {
	local text=$1 expect=$2 start=$SECONDS spent left next=0

	while kill -0 $$ 2>/dev/null; do
		spent=$((SECONDS - start))
		left=$((expect - spent))
		if ((left > 0)); then
			left="about $(duration "$left") left"
		else
			left="longer than the usual $(duration "$expect")"
		fi
		if [[ -t 2 ]]; then
			printf '\r  %s: %s, %s \e[K' "$text" "$(duration "$spent")" "$left" >&2
		elif ((spent >= next)); then
			next=$((spent + 30))
			((spent)) || left="about $(duration "$expect")"
			printf '  %s: %s, %s\n' "$text" "$(duration "$spent")" "$left" >&2
		fi
		sleep 1
	done
}

# step NAME SECONDS TEXT COMMAND...: runs COMMAND with its output in a log of
# its own. The estimate is the time of the last success here, else SECONDS.
# A failure ends the script with the message in $failed. (Not "step ... || die":
# bash would switch off -e inside.)
step() {
	local name=$1 expect=$2 text=$3 log=$RPP_LOG/$1.log tick status start=$SECONDS traps
	shift 3

	mkdir -p "$RPP_LOG"
	[[ -s $RPP_LOG/$name.time ]] && expect=$(<"$RPP_LOG/$name.time")
	ticker "$text" "$expect" 9>&- >/dev/null &
	tick=$!
	# Runs when the interrupted command is gone.
	traps=$(trap -p INT TERM)
	trap 'kill "$tick" 2>/dev/null; die "interrupted; the same command goes on from here"' INT TERM
	set +e
	(set -e && "$@") </dev/null >"$log" 2>&1
	status=$?
	set -e
	kill "$tick" 2>/dev/null
	wait "$tick" 2>/dev/null || true
	trap - INT TERM
	eval "$traps"
	[[ -t 2 ]] && printf '\r\e[K' >&2
	if ((status)); then
		say "  $text: failed after $(duration $((SECONDS - start))); the end of its log:"
		tail -n 12 "$log" | sed 's/^/    /' >&2
		say "  full log: $log"
		die "${failed:-$text: see the log above}"
	fi
	echo $((SECONDS - start)) >"$RPP_LOG/$name.time"
	say "  $text: done in $(duration $((SECONDS - start)))"
}

# need_space MEGABYTES: the cache's file system has room for that much more.
need_space() {
	local have
	mkdir -p "$RPP_CACHE" 2>/dev/null || true
	[[ -w $RPP_CACHE ]] ||
		die "no permission to write to $RPP_CACHE; set RPP_CACHE=DIR to a directory of yours"
	have=$(df -Pm "$RPP_CACHE" | awk 'NR == 2 { print $4 }')
	((have >= $1)) ||
		die "too little disk: $1 MB are needed in $RPP_CACHE, $have MB are free; make room or set RPP_CACHE=DIR"
}

# key TEXT...: a short name for a combination of inputs.
key() { printf '%s\n' "$@" | sha256sum | cut -c1-12; }

RPP_ROOT=${RPP_ROOT:-$RPP_CACHE/root-$(key trixie "$ROOT_PACKAGES")}

# load_kernel KERNEL.ENV: what kernel.sh says of a kernel (K_...). K_OUT is where
# the modules of this checkout are built for it.
load_kernel() {
	K_OUT='' K_ROOT=''
	# shellcheck disable=SC1090
	. "$1"
	K_OUT=${K_OUT:-${1%/*}/out-$(key "$RPP_TOP")}
}

# One process at a time prepares a cache; the scripts it calls share its lock.
lock_cache() {
	[[ ${RPP_LOCKED-} ]] && return
	mkdir -p "$RPP_CACHE" 2>/dev/null || die "no permission to write to $RPP_CACHE; set RPP_CACHE=DIR"
	exec 9>"$RPP_CACHE/.lock"
	flock -n 9 || { say "  waiting for another make that uses $RPP_CACHE"; flock 9; }
	export RPP_LOCKED=1
}

unlock_cache() {
	exec 9>&-
	unset RPP_LOCKED
}

# in_root COMMAND...: inside the Debian 13 build root, the same paths in and out,
# without this machine's settings (rustup, cargo, MAKEFLAGS) and toolchains.
in_root() {
	local dir=$PWD
	[[ $dir/ == "$RPP_TOP"/* || $dir/ == "$RPP_CACHE"/* ]] || dir=$RPP_TOP
	mkdir -p "$RPP_ROOT$RPP_CACHE" "$RPP_ROOT$RPP_TOP" # mount points
	bwrap --ro-bind "$RPP_ROOT" / --dev /dev --proc /proc --perms 1777 --tmpfs /tmp \
		--bind "$RPP_CACHE" "$RPP_CACHE" --bind "$RPP_TOP" "$RPP_TOP" \
		--clearenv --setenv PATH /usr/sbin:/usr/bin --setenv LC_ALL C.UTF-8 \
		--setenv HOME /tmp --setenv CARGO_HOME "$RPP_CACHE/cargo" \
		--chdir "$dir" "$@"
}

# enter COMMAND...: where the kernel's compilers are, in the build root, in another (K_ROOT), or on this machine.
enter() {
	if [[ $K_ENTER == root ]]; then
		RPP_ROOT=${K_ROOT:-$RPP_ROOT} in_root "$@"
	else
		env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS -u RUSTUP_TOOLCHAIN "$@"
	fi
}

# as_root COMMAND...: for the few steps that install or own files.
as_root() {
	if ((EUID == 0)); then
		"$@"
	elif command -v sudo >/dev/null && { [[ -t 0 ]] || sudo -n true 2>/dev/null; }; then
		sudo "$@"
	else
		die "no permission: this needs root or sudo, once: $*"
	fi
}

# both COMMAND ARGUMENTS...: two at a time. Instructions do not depend on what else the machine does.
both() {
	local command=$1 arg status=0 pid
	shift
	pids=()
	# ^C does not reach what runs in the background.
	trap 'kill "${pids[@]}" 2>/dev/null || true' EXIT
	for arg in "$@"; do
		"$command" "$arg" &
		pids+=($!)
	done
	for pid in "${pids[@]}"; do wait "$pid" || status=$?; done
	return "$status"
}

# build_tcp_mmap DIR: upstream's, for the VM. It sends as many megabytes as MB says, which is its only difference.
build_tcp_mmap() {
	sed 's/(1ULL << 35)/((unsigned long long)atoll(getenv("MB")) << 20)/' \
		"$K_SOURCE/tools/testing/selftests/net/tcp_mmap.c" >"$1/tcp_mmap.c"
	in_root gcc -static -O2 -w -o "$1/tcp_mmap" "$1/tcp_mmap.c" -lcrypto -lzstd -lz -lpthread 2>&1 |
		grep -v 'statically linked\|in function' || true
}
