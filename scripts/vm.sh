#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Boots a kernel, in QEMU or as User-Mode Linux, and runs one command in it as
# root. "--help" tells how.

set -euo pipefail
. "$(dirname "$0")/lib.sh"

usage() {
	cat <<-END
	usage: scripts/vm.sh [options] --run COMMAND --out DIR
	  --run COMMAND     bash script text, run as root in /rpp
	  --out DIR         where console.log, output.log and what the command puts
	                    in \$RPP_OUT (/rpp/out) arrive; made if missing
	  --add PATH        a file or directory to put into /rpp (may be repeated)
	  --nic MODEL[@HUB] a NIC (e1000, e1000e, virtio-net-pci...) on a hub; NICs on
	                    one hub (default 0) see each other's frames (repeatable)
	  --python          an image with Python, which upstream's tests need, and iperf3
	  --hotplug         each NIC in a slot of its own that it can be pulled from
	  --disk MB         an empty disk: "modprobe virtio_blk" makes it /dev/vda
	  --device SPEC     any other device of QEMU's (repeatable)
	  --smp N           CPUs (default 2)
	  --mem MB          memory (default 1024; KERNEL=debug and kcsan 2048, uml 384)
	  --thread WAY      single (default) or multi (default for KERNEL=kcsan): one
	                    host thread for all the CPUs, or one each
	  --icount          guest time counts instructions, of all CPUs; one CPU if --smp says nothing
	  --iommu           an Intel IOMMU, in strict mode
	  --append ARGS     more kernel arguments (repeatable)
	  --timeout S       kill the VM after S seconds (default 600), times \$RPP_SLOW
	  --allow REGEX     kernel complaints that are expected (repeatable)
	  --quiet           do not copy the command's output to stdout
	Always in /rpp: the modules (*.ko), tests/ (from tests/vm), samples/, pktgen/ (the
	kernel's own samples/pktgen). Stock drivers and their like: "modprobe NAME". /dev/ttyS3
	is QEMU's monitor, where the cable of NIC number i is n<i>: "set_link n0 off" pulls it;
	with --hotplug the NIC is nic<i>, and its slot slot<i>: "device_del nic0".
	KERNEL=uml boots User-Mode Linux: one CPU, no NICs, no IOMMU, native speed.
	Exit code: the command's; 124 after a time-out, 125 when the VM broke down,
	126 when the kernel log holds a warning.
	END
}

# Modules of the kernel itself that the guest can modprobe, with what they need.
MODULES="e1000 e1000e igb virtio_net pktgen veth tun dummy cls_bpf cls_matchall
	act_mirred act_skbedit cls_flower sch_fq sch_ingress sch_netem tcp_diag udp_diag netconsole 8021q macvlan
	virtio_blk aer_inject"

# What the guest's commands are copied from; the libraries follow by ldd.
PROGRAMS="bash dash mount umount dmesg taskset chrt setsid grep sed mawk find xargs tar gzip
	cmp diff hexdump ip tc bridge ss ethtool bpftool kmod free pgrep pkill ps sysctl
	uptime vmstat watch ping socat tcpdump rtcwake mkswap swapon kexec busybox"
# And whole directories.
TREES=""

# In the kernel log, each of these fails the run.
# (DMA_API_DEBUG and kmemleak say at boot that they are there, which is no complaint. Of KCSAN's
# reports, whose first line names two functions, those about code of ours: the kernel has many. With
# faults injected, ref_tracker lacks memory, and kmemleak a "scan area": they do without.)
COMPLAINTS='WARNING: |BUG: ([^K]|KASAN|KFENCE|KCSAN: .*(\[(rust_|e1000_rust|igb_rust|race|wrong)|rust_helper_))|BUG [^ ]+ \(|Oops|Kernel panic|Bad page|Call Trace:|unregister_netdevice: waiting'
COMPLAINTS+='|rcu: INFO: rcu.*(stall|kthread)|detected stall|DMAR: .*[Ff]ault|general protection fault'
COMPLAINTS+='|DMA-API: .*(driver|memory|ENOMEM|EEXIST|segment)'
COMPLAINTS+='|blocked for more than|soft lockup|hard LOCKUP|scheduling while atomic|list_(add|del) corruption'
COMPLAINTS+='|refcount_t: |unreferenced object|NETDEV WATCHDOG|KASAN: |UBSAN: |page allocation failure'
COMPLAINTS+='|nobody cared|Out of memory|oom-kill|kernel BUG at|rust_kernel: panicked|ODEBUG: |pagealloc: |ref_tracker: [^m]'
COMPLAINTS+='|page dumped because|[Dd]isabling lock debugging|kmemleak: .*(suspected|disabled|empty|[Uu]nknown|Cannot (insert|allocate a k))'

# build_base DIR: the part of the initramfs that no kernel or checkout changes.
build_base() {
	local dir=$1 p f
	rm -rf "$dir"
	mkdir -p "$dir"/{proc,sys,dev,tmp,run,root,var,etc,rpp,usr/{bin,sbin,lib,lib64}}
	for p in bin sbin lib lib64; do ln -s "usr/$p" "$dir/$p"; done
	echo 'root:x:0:0:root:/root:/bin/bash' >"$dir/etc/passwd"
	echo 'root:x:0:' >"$dir/etc/group"
	echo '127.0.0.1 localhost' >"$dir/etc/hosts"

	local -a files=()
	# shellcheck disable=SC2086 # a list of words
	for p in $PROGRAMS $(in_root dpkg -L coreutils | sed -n 's,^\(/usr\)\?/bin/,,p'); do
		for f in /usr/bin/$p /usr/sbin/$p; do
			[[ -e $RPP_ROOT$f ]] && files+=("$f") && continue 2
			[[ -L $RPP_ROOT$f ]] && files+=("$(in_root readlink -f "$f")") && continue 2
		done
		echo "not in the build root: $p" && return 1
	done
	for p in $TREES; do
		mkdir -p "$dir${p%/*}"
		cp -a "$RPP_ROOT$p" "$dir$p" # with their times: Python compares those with its compiled files'
		mapfile -t -O "${#files[@]}" files < <(cd "$RPP_ROOT" && find "${p#/}" -name '*.so' -printf '/%p\n')
	done
	# ldd prints "lib => /path (0x..)" and for the loader "/path (0x..)".
	in_root sh -c 'ldd "$@" 2>/dev/null; true' sh "${files[@]}" |
		grep -o '/[^ :]* (0x' | sed 's/ (0x//; s,^/lib,/usr/lib,' | sort -u >"$dir.libs"
	for f in "${files[@]}" $(<"$dir.libs"); do
		install -D "$RPP_ROOT$f" "$dir$f"
	done
	for p in insmod rmmod lsmod modprobe modinfo depmod; do ln -s ../bin/kmod "$dir/usr/sbin/$p"; done
	ln -s bash "$dir/usr/bin/sh"
	ln -s mawk "$dir/usr/bin/awk"
	[[ ! -e $dir/usr/bin/python3.13 ]] || ln -s python3.13 "$dir/usr/bin/python3"
	for p in $(in_root busybox --list); do
		[[ -e $dir/usr/bin/$p || -e $dir/usr/sbin/$p ]] || ln -s busybox "$dir/usr/bin/$p"
	done
	install "$RPP_TOP/scripts/vm-init" "$dir/init"
	pack "$dir"
	rm -rf "$dir" "$dir.libs"
}

# build_modules DIR: the kernel's own modules from $K_MODULES, unpacked, because
# xz is slow in the guest.
build_modules() {
	local dir=$1 to=$1/usr/lib/modules/$K_RELEASE m
	rm -rf "$dir"
	mkdir -p "$to"
	# modprobe looks below .../lib/modules/RELEASE
	for m in $MODULES; do
		in_root modprobe -d "${K_MODULES%/lib/modules/*}" -S "$K_RELEASE" --show-depends "$m" ||
			echo "this kernel has no $m" >&2
	done | awk '$1 == "insmod" { print $2 }' | sort -u >"$dir.list"
	while read -r m; do cp "$m" "$to/"; done <"$dir.list"
	find "$to" -name '*.xz' -exec xz -d {} +
	touch "$to/modules.order"
	cp "$K_MODULES/modules.builtin" "$K_MODULES/modules.builtin.modinfo" "$to/" 2>/dev/null || true
	in_root depmod -b "$dir/usr" "$K_RELEASE" || return
	pack "$dir"
	rm -rf "$dir" "$dir.list"
}

# pack DIR: makes DIR.cpio, owned by root in the guest whoever made the files.
pack() {
	(cd "$1" && find . | LC_ALL=C sort | in_root cpio -o -H newc -R 0:0 --quiet >"$1.cpio.part")
	mv "$1.cpio.part" "$1.cpio"
}

build_payload() {
	local dir=$1 p
	mkdir -p "$dir/rpp/out"
	if [[ -s $K_OUT/modules.order ]]; then
		while read -r p; do
			[[ $p == /* ]] || p=$K_OUT/$p
			cp "${p%.o}.ko" "$dir/rpp/" || die "${p##*/} is not built: run 'make modules'"
		done <"$K_OUT/modules.order"
	fi
	[[ -d $RPP_TOP/tests/vm ]] && cp -rL "$RPP_TOP/tests/vm" "$dir/rpp/tests"
	[[ -d $RPP_TOP/samples ]] && cp -rL "$RPP_TOP/samples" "$dir/rpp/samples"
	[[ -d $K_SOURCE/samples/pktgen ]] && cp -rL "$K_SOURCE/samples/pktgen" "$dir/rpp/pktgen"
	for p in "${add[@]}"; do
		cp -rL "$p" "$dir/rpp/" || die "--add $p: no such file"
	done
	printf '%s\n' "$run" >"$dir/rpp/.run"
	printf '%s\n' "$COMPLAINTS" >"$dir/rpp/complaints"
	pack "$dir"
}

# What each serial port of the guest goes to; see vm-init.
ports=(console.log output.log result.tar)
# A task that oopsed may hold locks, so nothing after an oops can be trusted.
append=("console=ttyS0,115200" panic=-1 oops=panic loglevel=7 audit=0)

qemu_args() {
	local nic hub model p n=0 cpu=max

	# While identify_cpu() fills in what the boot CPU can, an interrupt finds no LA57 yet and KASAN a
	# shadow of the wrong place: it reports wild accesses, now and then, by a timer interrupt.
	[[ $K_NAME == debug ]] && cpu+=,la57=off
	args=(qemu-system-x86_64 -nodefaults -no-reboot -display none -cpu "$cpu" -m "$mem" -smp "$smp")
	args+=(-M "q35,kernel-irqchip=split")
	args+=(-kernel "$K_IMAGE" -initrd "$tmp/initrd")
	for p in "${ports[@]}"; do args+=(-serial "file:$out/$p"); done
	# The fourth port is QEMU's monitor, for a test to pull a cable ("set_link n0 off").
	args+=(-chardev "socket,id=monitor,path=monitor,server=on,wait=off" -mon "chardev=monitor,mode=readline")
	args+=(-chardev "socket,id=ttyS3,path=monitor" -serial chardev:ttyS3)
	if [[ $icount ]]; then
		args+=(-accel tcg -icount "shift=0,sleep=off" -rtc clock=vm)
	else
		args+=(-accel "tcg,thread=$thread")
	fi
	if [[ $iommu ]]; then
		args+=(-device intel-iommu)
		# First, so that --append iommu.strict=0 can make it lazy.
		append=("intel_iommu=on iommu.strict=1" "${append[@]}")
	fi
	for nic in "${nics[@]}"; do
		hub=0
		[[ $nic == *@* ]] && hub=${nic#*@}
		model=${nic%@*}
		[[ $iommu && $model == virtio* ]] && model+=,iommu_platform=on,disable-legacy=on
		model+=,romfile=
		args+=(-netdev "hubport,hubid=$hub,id=n$n")
		if [[ $hotplug ]]; then
			args+=(-device "pcie-root-port,id=slot$n,chassis=$((n + 1))")
			model+=,id=nic$n,bus=slot$n
		fi
		args+=(-device "$model,netdev=n$n,mac=52:54:00:00:00:$(printf %02x $((n + 1)))")
		n=$((n + 1))
	done
	if [[ $disk ]]; then
		truncate -s "${disk}M" "$tmp/disk"
		args+=(-drive "file=disk,if=none,id=disk,format=raw" -device "virtio-blk-pci,drive=disk")
	fi
	args+=("${devices[@]}")
	# no_timer_check: on a busy host the check can miss its ten ticks, and panics.
	args+=(-append "no_timer_check random.trust_cpu=on ${append[*]}")
}

# User-Mode Linux is a program. Its serial lines have to be pipes, because it polls
# them, which files do not know.
uml_args() {
	local p n=0 fd

	[[ ${nics[*]}${devices[*]}$disk$icount$iommu$hotplug ]] &&
		die "User-Mode Linux has no --nic, no --hotplug, no --disk, no --device, no --iommu and no --icount"
	# It makes a directory in HOME. Lines that nobody names would ask for pseudo-terminals.
	# shellcheck disable=SC2206 # words
	args=(env HOME="$tmp" "$K_IMAGE" mem="${mem}M" initrd="$tmp/initrd" con=null ssl=null ${append[*]})
	for p in "${ports[@]}"; do
		exec {fd}> >(exec cat >"$out/$p")
		pipes+=("$fd") readers+=("$!")
		args+=("ssl$n=fd:$fd")
		n=$((n + 1))
	done
}

# run_vm: ends with this script, or when its time is over. QEMU is the build root's.
run_vm() {
	if [[ $K_NAME == uml ]]; then
		exec timeout -k 5 "$timeout" env -C "$tmp" "${args[@]}"
	fi
	# A mount point.
	[[ $out == "$RPP_TOP"/* || $out == "$RPP_CACHE"/* ]] || mkdir -p "$RPP_ROOT$out"
	in_root --unshare-pid --die-with-parent --bind "$out" "$out" \
		env -C "$tmp" timeout -k 5 "$timeout" "${args[@]}"
}

smp='' mem='' disk='' thread='' icount='' iommu='' hotplug='' timeout=600 run='' out='' quiet=''
nics=() devices=() add=() allow=()
while (($#)); do
	case $1 in
	--icount) icount=1 ;;
	--iommu) iommu=1 ;;
	--hotplug) hotplug=1 ;;
	--python)
		PROGRAMS+=" python3.13 iperf3"
		TREES="/usr/lib/python3.13 /usr/lib/python3/dist-packages/yaml"
		;;
	--quiet) quiet=1 ;;
	--help | -h) usage; exit 0 ;;
	--run | --out | --add | --nic | --disk | --device | --smp | --mem | --thread | --append | --timeout | --allow)
		(($# > 1)) || die "$1 needs a value; see scripts/vm.sh --help"
		case $1 in
		--run) run=$2 ;;
		--out) out=$2 ;;
		--add) add+=("$2") ;;
		--nic) nics+=("$2") ;;
		--disk) disk=$2 ;;
		--device) devices+=(-device "$2") ;;
		--smp) smp=$2 ;;
		--mem) mem=$2 ;;
		--thread) thread=$2 ;;
		--append) append+=("$2") ;;
		--timeout) timeout=$2 ;;
		--allow) allow+=("$2") ;;
		esac
		shift ;;
	*) die "unknown option $1; see scripts/vm.sh --help" ;;
	esac
	shift
done
[[ $run && $out ]] || { usage >&2; exit 2; }
[[ $icount ]] && smp=${smp:-1} thread=single
smp=${smp:-2}

# The kernel that is booted: made by kernel.sh.
load_kernel "${RPP_KERNEL_ENV:-$("$RPP_TOP/scripts/kernel.sh" env)}"
# KASAN's shadow and quarantine, page_owner, and what else the checkers remember.
[[ $K_NAME == @(debug|kcsan) ]] && mem=${mem:-2048}
# A data race takes two CPUs at the same time. Else not: now and then a CPU still runs the breakpoint of a jump label
# that the kernel has finished patching ("Oops: int3" in __schedule()), which happens to QEMU 10 only.
[[ $K_NAME == kcsan ]] && thread=${thread:-multi}
# Modules are behind the memory, and have to be below 2 GB; see own_make() in kernel-own.sh.
[[ $K_NAME == uml ]] && mem=${mem:-384}
mem=${mem:-1024} thread=${thread:-single} timeout=$((timeout * ${RPP_SLOW:-1}))
[[ -s $K_IMAGE ]] || die "there is no kernel image $K_IMAGE to boot"

mkdir -p "$out" "$RPP_CACHE/vm"
out=$(cd "$out" && pwd)
rm -f "$out"/{console.log,output.log,qemu.log,result.tar}
base=$RPP_CACHE/vm/base-$(key "$PROGRAMS" "$TREES" "$(cat "$RPP_TOP/scripts/vm-init")" "$(declare -f build_base pack)" "$RPP_ROOT" "$(stat -c %Y "$RPP_ROOT")")
mods=$RPP_CACHE/vm/modules-$(key "$MODULES" "$(declare -f build_modules pack)" "$K_MODULES" "$(stat -c %Y "$K_MODULES")")
lock_cache
[[ -s $base.cpio ]] || step vm-base 10 "guest programs" build_base "$base"
[[ -s $mods.cpio ]] || step vm-modules 10 "guest modules" build_modules "$mods"
unlock_cache

# Inside the cache, because the build root sees nothing else of the host.
tmp=$(mktemp -d "$RPP_CACHE/vm/boot.XXXXXX")
qemu='' tail=''
cleanup() {
	[[ $qemu ]] && kill "$qemu" 2>/dev/null
	[[ $tail ]] && kill "$tail" 2>/dev/null
	rm -rf "$tmp"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

build_payload "$tmp/payload"
cat "$base.cpio" "$mods.cpio" "$tmp/payload.cpio" >"$tmp/initrd"

for p in "${ports[@]}"; do : >"$out/$p"; done
pipes=() readers=()
if [[ $K_NAME == uml ]]; then uml_args; else qemu_args; fi
run_vm >"$out/qemu.log" 2>&1 </dev/null &
qemu=$!
for p in "${pipes[@]}"; do exec {p}>&-; done
# A machine of QEMU's that has slept does not power off.
{
	grep -qm 1 'reboot: Power down' <(tail -n +1 -s 1 --pid=$qemu -f "$out/console.log") && sleep 10 && kill "$qemu"
} >/dev/null 2>&1 &
if [[ ! $quiet ]]; then
	tail -n +1 -s 0.2 --pid=$qemu -f "$out/output.log" &
	tail=$!
fi
wait "$qemu" && status=0 || status=$?
((${#readers[@]} == 0)) || wait "${readers[@]}"
qemu=
[[ $tail ]] && wait "$tail"
tail=

complaints=$(grep -aE "$COMPLAINTS" "$out/console.log" || true)
for p in "${allow[@]}"; do
	complaints=$(grep -avE "$p" <<<"$complaints" || true)
done
if [[ $complaints ]]; then
	say "the kernel complained (whole log: $out/console.log):"
	head -n 8 <<<"$complaints" | sed 's/^/    /' >&2
fi
if ((status == 124 || status == 137)); then
	say "error: the VM was stopped after $timeout seconds; the end of $out/console.log:"
	tail -n 5 "$out/console.log" | sed 's/^/    /' >&2
	exit 124
fi
if ! tar -C "$out" -xf "$out/result.tar" 2>>"$out/qemu.log" || [[ ! -s $out/.exit ]]; then
	say "error: the VM ended before its command did; the end of $out/console.log:"
	tail -n 5 "$out/console.log" | sed 's/^/    /' >&2
	grep -v 'hub .* is not connected\|has no peer' "$out/qemu.log" | head -n 5 >&2
	exit 125
fi
status=$(<"$out/.exit")
rm -f "$out/.exit" "$out/result.tar"
[[ $complaints ]] && exit 126
exit "$status"
