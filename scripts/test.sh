#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# All tests; "make test" has built the modules before. The last line is
# "N passed, N failed". Each part leaves its log in the cache.
#
#   scripts/test.sh              everything
#   scripts/test.sh PART...      some of: host loom coverage compile_fail fast_path, and the boots below
#   scripts/test.sh boots        suites once more, in kernels that are booted otherwise: each of UNIVERSES
#   MINUTES=N [SEED=N] scripts/test.sh soak
#   DRIVER=igb_rust scripts/test.sh refuse soak      on the 82576
#
# RPP_SLOW=N multiplies the time-outs of boots and tests; 4 for KERNEL=debug and kcsan.

set -euo pipefail
. "$(dirname "$0")/lib.sh"

# Parts that boot the VM, longest first. Two run at a time.
BOOTS="bounce refuse pools igb lifetime e1000 xdp queues offload split jumbo ethtool power family cards hook watchdog liar load reach slots install kexec control"
# Those for kernels of our own only, and those that are asked for by name.
OTHER_BOOTS="kunit shortage faults checkers soak upstream upstream_igb"

# Other ways to boot, and to poll.
UNIVERSES="cpus4 threadirqs preempt lazy passthrough threaded busy"

# settings: what depends on the kernel.
settings() {
	load_kernel "$RPP_KERNEL_ENV"
	LOGS=$RPP_CACHE/test
	[[ $K_NAME == stock ]] || LOGS+=-$K_NAME
	[[ ${KERNEL-} != stock@* ]] || LOGS+=-${KERNEL#*@}
	[[ $K_NAME != @(debug|kcsan) ]] || RPP_SLOW=${RPP_SLOW:-4}
	RPP_SLOW=${RPP_SLOW:-1} MINUTES=${MINUTES:-2}
}

# boot PART: its VM.
boot() {
	local nics=(--nic e1000 --nic e1000e)
	[[ $1 != upstream_igb ]] || local DRIVER=igb_rust
	[[ $1/${DRIVER-} != @(soak|refuse|upstream_igb)/igb_rust ]] || nics=(--nic igb --nic e1000e)
	# For the end of a device. Of the test device, only the ROM is used.
	local ends=(--hotplug --device "pci-testdev,romfile=$LOGS/ones.rom")
	case $1 in
	load) vm load --device pci-testdev ;;
	install) vm install --nic igb --nic e1000 --nic e1000-82545em --add "$RPP_TOP/scripts/package" ;;
	kunit) vm kunit ;;
	# Without peers, and without an IOMMU: the devices are the test's.
	liar) vm liar --nic e1000 --nic igb ;;
	split) vm split --nic igb --nic e1000 --iommu ;;
	queues | offload) vm "$1" --nic igb --nic e1000 --iommu ;;
	jumbo) vm jumbo --nic igb --nic e1000 --nic e1000e --iommu ;;
	# (Not with a virtio-net: behind the IOMMU QEMU 10 lets it write to memory that is not its own, under C drivers alone.)
	cards) vm cards --nic igb --nic e1000e --nic e1000@1 --nic e1000-82545em@1 --smp 4 --iommu ;;
	ethtool) vm ethtool --nic igb --nic e1000 --nic e1000e --iommu ;;
	power) vm power --nic igb --nic e1000 --nic e1000e --hotplug --disk 1024 --iommu ;;
	kexec) vm kexec --nic e1000e --nic igb --nic e1000 --iommu --mem 2048 --add "$K_IMAGE" ;;
	cpus4) universe "$1" --smp 4 ;;
	threadirqs) universe "$1" --append threadirqs ;;
	preempt) universe "$1" --append preempt=full ;;
	lazy) universe "$1" --append iommu.strict=0 ;;
	passthrough) universe "$1" --append iommu=pt ;;
	threaded | busy) universe "$1" ;;
	# Here the kernel's watchdog has to complain, and nobody else.
	watchdog) vm watchdog --nic igb --nic e1000 --nic e1000e --iommu --allow 'NETDEV WATCHDOG' ;;
	igb) vm igb --nic igb --nic e1000e --iommu "${ends[@]}" --timeout 1800 ;;
	family) vm family --nic e1000-82545em --nic e1000-82544gc --nic e1000e "${ends[@]}" --timeout 1500 ;;
	e1000) vm e1000 "${nics[@]}" --timeout 1500 ;;
	# In strict mode the IOMMU faults on each access to a page that is no longer mapped, and a fault
	# is a complaint that fails the boot.
	hook) vm hook "${nics[@]}" --iommu ;;
	lifetime) vm lifetime "${nics[@]}" --iommu "${ends[@]}" ;;
	refuse) vm refuse "${nics[@]}" --iommu --timeout 1800 ;;
	xdp) vm xdp "${nics[@]}" --iommu ;;
	# QEMU has a third of it above 4 GB.
	reach) vm reach "${nics[@]}" --mem 3072 ;;
	bounce) vm bounce "${nics[@]}" --append swiotlb=force --timeout 1800 ;;
	pools) vm pools "${nics[@]}" --iommu --timeout 1800 ;;
	slots) vm slots "${nics[@]}" --append swiotlb=2048,force ;;
	soak) vm soak "${nics[@]}" --timeout $((MINUTES * 60 + 600)) ;;
	# Without an IOMMU: upstream gives a command 20 seconds, be it under a flood.
	upstream | upstream_igb) script=upstream vm "$1" "${nics[@]}" --python --mem 2048 --add "$LOGS/upstream" --timeout 2400 ;;
	shortage) vm shortage "${nics[@]}" --iommu --timeout 1800 ;;
	faults) vm faults "${nics[@]}" --iommu --timeout 1500 ;;
	# Here the kernel has to complain, and the tests see that it does.
	checkers) vm checkers --nic e1000 --iommu --allow . ;;
	# The test of the tests: a complaint in the kernel log fails a boot.
	control)
		vm control --run 'echo "WARNING: a complaint" >/dev/kmsg' 2>/dev/null && status=0 || status=$?
		echo "1..1"
		((status == 126)) || printf 'not '
		echo "ok 1 - a warning in the kernel log is noticed"
		;;
	esac
}

# universe NAME OPTION...: tests/vm/universe.sh there.
universe() { script=universe vm "$@" --nic igb --nic e1000 --nic e1000e --iommu --timeout 1500; }

# vm NAME OPTION...: runs tests/vm/NAME.sh there, or $script.sh.
vm() {
	local name=$1 less='' program
	local -a add=()
	shift
	[[ -s $K_OUT/modules.order ]] || die "the modules are not built: run 'make modules KERNEL=$K_NAME'"
	# A slow kernel gets less to do.
	((RPP_SLOW == 1)) || less="MB=16 COUNT=500000 PAGES=200000 RECEIVED=2000 DEEDS=4"
	[[ $name != @(threaded|busy) ]] || less+=" NAPI=$name"
	[[ $name != soak ]] || less="MINUTES=$MINUTES${SEED:+ SEED=$SEED}"
	[[ ${DRIVER-} != igb_rust || $name != @(soak|refuse|upstream_igb) ]] || less+=" DRIVER=igb_rust CARD=0x10c9"
	[[ ${DRIVER-} != igb_rust || $name != soak ]] || less+=" QUEUES=1"
	for program in hold failnth stamp napis fentry.o metadata.o tcp_mmap receive; do add+=(--add "$LOGS/$program"); done
	"$RPP_TOP/scripts/vm.sh" --out "$LOGS/$name.vm" "${add[@]}" --timeout 900 \
		--run "RPP_SLOW=$RPP_SLOW $less bash tests/${script:-$name}.sh" "$@"
}

# What the VM's tests need besides the modules.
build_programs() {
	in_root make -s -C samples/xdp
	local name program
	for name in hold failnth stamp napis; do
		in_root gcc -static -O2 -Wall -Werror -o "$LOGS/$name" "tests/vm/$name.c"
	done
	for program in fentry metadata; do
		in_root clang-19 -O2 -g -target bpf -I/usr/include/x86_64-linux-gnu -c -o "$LOGS/$program.o" "tests/vm/$program.bpf.c"
	done
	build_tcp_mmap "$LOGS"
	in_root gcc -static -O2 -Wall -Werror -o "$LOGS/receive" samples/zero_copy/receive.c
	# As large as the registers of the e1000.
	head -c 128K /dev/zero | tr '\0' '\377' >"$LOGS/ones.rom"
}

# build_upstream: the kernel's tests of network drivers and what they need, unmodified, where they look for it.
build_upstream() {
	local tests=tools/testing/selftests to=$LOGS/upstream program
	rm -rf "$to"
	mkdir -p "$to"
	(cd "$K_SOURCE" && cp -r --parents tools/net/ynl/pyynl Documentation/netlink/specs $tests/net/lib \
		$tests/drivers/net/{lib,*.py,napi_id_helper.c} "$to")
	for program in drivers/net/napi_id_helper net/lib/xdp_helper; do
		in_root gcc -O2 -o "$to/$tests/$program" "$to/$tests/$program.c"
	done
	for program in "$to/$tests"/net/lib/xdp_{dummy,native}.bpf; do
		in_root clang-19 -O2 -g -target bpf -I/usr/include/x86_64-linux-gnu -c -o "$program.o" "$program.c"
	done
}

# in_cargo COMMAND...: in the host tests' crate, with this machine's way to the network.
in_cargo() {
	local ca=/etc/ssl/certs/ca-certificates.crt settings
	mapfile -t settings < <(env | grep -E '^(CARGO_(HTTP|NET|REGISTR|SOURCE)|https?_proxy=|HTTPS?_PROXY=|no_proxy=)')
	[[ -s $ca ]] && cp "$ca" "$LOGS/ca.crt" && settings+=("CARGO_HTTP_CAINFO=$LOGS/ca.crt")
	in_root env --chdir=tests/host CARGO_TARGET_DIR="$RPP_CACHE/host-target" "${settings[@]}" "$@"
}

# fetch_crates NAME: loom, proptest and what they need are the only things from crates.io.
fetch_crates() {
	in_cargo cargo fetch --locked && return
	echo "1..1"
	echo "ok 1 - $1 # SKIP crates.io is out of reach"
	return 1
}

# And the bench of the rings, which compiles the same sources once more.
part_host() {
	local not='' status=0
	if fetch_crates host; then in_cargo cargo test --locked --offline || status=$?; fi
	"$RPP_TOP/scripts/bench-ring.sh" --out "$LOGS/ring" 2>&1 | sed 's/^/# /' || not='not '
	echo "1..1"
	echo "${not}ok 1 - the bench of the rings runs"
	return "$status"
}

part_loom() {
	if fetch_crates loom; then
		in_cargo env RUSTFLAGS="--cfg loom" cargo test --locked --offline --release --test loom
	fi
}

# The descriptor tests reach all of the descriptor code, as LLVM counts it: functions, lines, regions.
part_coverage() {
	fetch_crates coverage || return 0
	echo "1..2"
	covered 1 desc e1000_rust
	covered 2 igb_desc igb_rust
}

# covered NUMBER TEST DRIVER: one of them.
covered() {
	local source=$RPP_TOP/drivers/net/ethernet/intel/$3/desc.rs dir=$LOGS/coverage program
	rm -rf "$dir/profile"
	# A few cases do.
	in_cargo env RUSTFLAGS=-Cinstrument-coverage CARGO_TARGET_DIR="$dir" CARGO_PROFILE_DEV_OPT_LEVEL=0 \
		LLVM_PROFILE_FILE="$dir/profile/%p" PROPTEST_CASES=100 \
		cargo test --locked --offline --test "$2" -- --skip every_word 2>&1 | sed 's/^/# /' | tee "$LOGS/coverage.cargo" || return
	program=$(sed -n "s/.*Running tests\/$2.rs (\(.*\))$/\1/p" "$LOGS/coverage.cargo")
	in_root llvm-profdata-19 merge -o "$dir/desc" "$dir/profile"
	in_root llvm-cov-19 export -summary-only -instr-profile "$dir/desc" "$program" "$source" |
		in_root python3 -c '
import json, sys
totals = json.load(sys.stdin)["data"][0]["totals"]
kinds = [(kind, totals[kind]) for kind in ("functions", "lines", "regions")]
ok = all(n["count"] and n["covered"] == n["count"] for _, n in kinds)
counts = ", ".join("{} of {} {}".format(n["covered"], n["count"], kind) for kind, n in kinds)
print("ok" if ok else "not ok", sys.argv[1], "-", "desc.rs of", sys.argv[2], "is covered:", counts)' "$1" "$3"
}

part_fast_path() {
	local module
	for module in e1000_rust igb_rust toy_net page_pool_bench; do
		in_root objdump -drC --no-show-raw-insn "$K_OUT/$module.ko" >"$LOGS/$module.s"
	done
	in_root python3 scripts/fast-path.py "$LOGS"/{e1000_rust,igb_rust,toy_net,page_pool_bench}.s
}

part_compile_fail() { "$RPP_TOP/scripts/compile-fail.sh"; }

# run PART: shows its results as they come, and writes "passed failed skipped" to its .sum file.
run() {
	local part=$1 log=$LOGS/$1.log status=0 start=$SECONDS
	rm -f "$LOGS/$part.sum"
	if [[ " $BOOTS $OTHER_BOOTS $UNIVERSES " == *" $part "* ]]; then
		boot "$part"
	else
		"part_$part"
	fi 2>&1 </dev/null | tee "$log" | show "$part" || status=$?
	sum "$log" "$status" >"$LOGS/$part.sum"
	read -r passed failed skipped <"$LOGS/$part.sum"
	echo "  $part: $passed passed, $failed failed, $skipped skipped, in $(duration $((SECONDS - start)))"
	if ((failed)); then echo "  $part: log $log"; fi
}

# show PART: the lines that tell something, with the part's name.
show() {
	grep --line-buffered -E '^(ok|not ok|#|test .* \.\.\. |thread |error|warning: unused|the kernel complained|   )' |
		sed -u "s/^/  $1: /" || true
}

# sum LOG STATUS: counts KTAP's and cargo's results. What ran otherwise than announced, or ended
# with an error that no test reported, is one failure more.
sum() {
	awk -v status="$2" '
		/^1\.\.[0-9]+$/ { planned += substr($0, 4) }
		/^ok .*# SKIP/ { skipped++; ran++; next }
		/^ok / { passed++; ran++ }
		/^not ok / { failed++; ran++ }
		/^test result: / { passed += $4; failed += $6; skipped += $8; planned++; ran++ }
		END {
			if (!planned || planned != ran || (status && !failed) || (status >= 124 && status <= 126))
				failed++
			print passed + 0, failed + 0, skipped + 0
		}' "$1"
}

# failures PART: those of its log once more, for the end, where they are seen.
failures() {
	awk '/^(not ok|test .* FAILED|thread |error|the kernel complained)/ { failure = 1; print; next }
		/^(#|   )/ { if (failure) print; next }
		{ failure = 0 }' "$LOGS/$1.log" | tail -n 20 | sed "s/^/  $1: /"
}

if [[ ${1-} == --run ]]; then
	settings
	run "$2"
	exit
fi

RPP_KERNEL_ENV=${RPP_KERNEL_ENV:-$("$RPP_TOP/scripts/kernel.sh" env)}
settings
export RPP_KERNEL_ENV RPP_SLOW
mkdir -p "$LOGS"
cd "$RPP_TOP"
parts=("$@")
((${#parts[@]})) || read -r -a parts <<<"host loom coverage compile_fail fast_path $BOOTS"
[[ ${parts[*]} != boots ]] || read -r -a parts <<<"$UNIVERSES"
for part in "${parts[@]}"; do rm -f "$LOGS/$part.sum"; done
failed="cannot build the programs for the VM" step test-programs 10 "programs for the tests" build_programs
[[ "${parts[*]}" != *upstream* ]] ||
	failed="cannot build upstream's tests" step upstream-programs 5 "upstream's tests" build_upstream

# xargs and its children stay in the foreground: ^C ends all of them.
printf '%s\n' "${parts[@]}" | xargs -P 2 -I{} "$RPP_TOP/scripts/test.sh" --run {} || true

passed=0 failed=0 skipped=0
for part in "${parts[@]}"; do
	if ! read -r p f s <"$LOGS/$part.sum"; then
		echo "  $part: did not end"
		p=0 f=1 s=0
	fi
	((f == 0)) || failures "$part" || true
	passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
done 2>/dev/null
if ((skipped)); then
	echo "$passed passed, $failed failed, $skipped skipped"
else
	echo "$passed passed, $failed failed"
fi
((failed == 0))
