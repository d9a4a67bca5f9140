# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034
#
# Two NICs on one hub: one under the driver under test, the first 82540EM unless CARD is another PCI device id, and
# one under a C driver, PEER_DRIVER, in a network namespace of its own, so that all traffic has to cross the wire.
CARD=${CARD:-0x100e} PEER_DRIVER=${PEER_DRIVER:-e1000e}

ADDR=10.9.0.1 PEER_ADDR=10.9.0.2
MAC=${MAC:-52:54:00:00:00:01} PEER_MAC=${PEER_MAC:-52:54:00:00:00:02}

# of_device ID: the PCI device that has it.
of_device() {
	local f
	for f in /sys/bus/pci/devices/*/device; do
		[[ $(<"$f") == "$1" ]] && basename "$(dirname "$f")" && return
	done
}
# The one under test.
DUT=$(of_device "$CARD")

# iface: the interface of the device under test.
iface() {
	local dev=("/sys/bus/pci/devices/$DUT/net/"*)
	[[ -e ${dev[0]} ]] && echo "${dev[0]##*/}"
}
has_iface() { [[ $(iface) ]]; }
no_iface() { ! has_iface; }

# config DEVICE OFFSET VALUE BYTES: writes to a PCI device's configuration space.
config() {
	local i bytes=''
	for ((i = 0; i < $4; i++)); do bytes+=$(printf '\\x%02x' $(($3 >> 8 * i & 255))); done
	# shellcheck disable=SC2059 # escapes
	printf "$bytes" | dd of="/sys/bus/pci/devices/$1/config" bs="$4" seek=$(($2 / $4)) conv=notrunc
}

# Not for the background: $! would be the process of a shell, and what it runs would outlive it.
in_peer() { ip netns exec peer "$@"; }

# load_driver: and the modules below it. With QUEUES it uses so many, and with NAPI it is polled in that way.
load_driver() {
	if is_rust; then
		[[ -d /sys/module/rust_page_pool ]] || insmod rust_page_pool.ko || return
		[[ -d /sys/module/rust_net ]] || insmod rust_net.ko || return
		echo "$BUFFERS" >/sys/module/rust_net/parameters/buffers
		insmod "$DRIVER.ko"
	else
		modprobe e1000
	fi
	eventually 10 has_iface
	use_queues
	use_napi
}
# use_napi: as NAPI says, threaded, or busy: polled by who waits for packets, with interrupts only if nobody does.
use_napi() {
	local dev
	dev=/sys/class/net/$(iface)
	case ${NAPI-} in
	threaded) echo 1 >"$dev/threaded" ;;
	busy)
		sysctl -qw net.core.busy_read=50 net.core.busy_poll=50
		echo 2 >"$dev/napi_defer_hard_irqs"
		echo 200000 >"$dev/gro_flush_timeout"
		;;
	esac
}
# use_queues: as many as QUEUES says, of a new device.
use_queues() { [[ ! ${QUEUES-} ]] || ethtool -L "$(iface)" combined "$QUEUES"; }

unload_driver() { rmmod "$DRIVER"; }
# remove_driver: it leaves nothing behind.
remove_driver() {
	unload_driver
	all_unmapped
}
# remove_modules: those below it as well.
remove_modules() {
	remove_driver
	if is_rust; then
		rmmod rust_net
		rmmod rust_page_pool
	fi
}

# nothing_loaded: whatever has failed, the next script begins as the first one did.
nothing_loaded() {
	rmmod e1000_rust igb_rust rust_net rust_page_pool e1000e e1000 igb
	ip netns del peer
} 2>/dev/null

# again SCRIPT: one that has a boot of its own, where it does everything often. Here it is about something else.
again() {
	nothing_loaded
	MB=${MB:-16} UPDOWNS=${UPDOWNS:-20} LOADS=${LOADS:-11} ATTACHES=${ATTACHES:-5} bash "tests/$1.sh"
}

# up: the interface under test with its address, and the link there.
up() {
	local dev
	dev=$(iface)
	ip addr replace "$ADDR/24" dev "$dev"
	ip link set "$dev" up
	eventually 30 carrier
	ip neigh replace "$PEER_ADDR" lladdr "$PEER_MAC" dev "$dev" nud permanent
}

recover() {
	pkill -KILL 'hold|socat|ping|tcpdump'
	rmmod netconsole
	has_iface || { rmmod "$DRIVER"; load_driver; }
	echo 0 >"/sys/class/net/$(iface)/threaded"
	use_napi
	ip link set "$(iface)" xdp off
	tc qdisc del dev "$(iface)" clsact
	ip netns del far && eventually 5 test ! -e /sys/class/net/near
	ip link del tag1
	ip -n peer link del tag1
	up
}

if is_rust; then XDP=xdpdrv; else XDP=xdpgeneric; fi

# attach PROGRAM: of samples/xdp.
attach() { ip -force link set dev "$(iface)" "$XDP" obj "samples/xdp/xdp_$1.o" sec xdp; }
detach() { ip link set dev "$(iface)" "$XDP" off; }

# attach_frags PROGRAM: of samples/xdp/xdp_frags.c.
attach_frags() {
	ip -force link set dev "$(iface)" xdpdrv obj samples/xdp/xdp_frags.o program "xdp_frags_$1"
}

# go_round: frames do, from here on: both ends send back what they get, for which they need nobody.
go_round() {
	attach tx
	ip -n peer link set "$PEER" xdpgeneric obj samples/xdp/xdp_tx.o sec xdp
	in_peer ping -q -c 50 -i 0.002 -W 0.1 -s 1000 "$ADDR" || true
	eventually 10 more_than "$(($(count rx_xdp_tx) + 1000))" rx_xdp_tx
}

# to_port DEVICE: where xdp_redirect sends.
to_port() {
	local n
	n=$(<"/sys/class/net/$1/ifindex")
	bpftool map update name tx_port key 0 0 0 0 value $((n & 255)) $((n >> 8)) 0 0
}

carrier() { [[ $(<"/sys/class/net/$(iface)/carrier") == 1 ]]; }
no_carrier() { ! carrier; }

# The peer's neighbour entry is permanent: it goes on sending when nobody is there.
peer_up() {
	modprobe "$PEER_DRIVER"
	eventually 10 test -e "/sys/bus/pci/drivers/$PEER_DRIVER/"0000:*/net
	PEER=$(basename "/sys/bus/pci/drivers/$PEER_DRIVER/"0000:*/net/*)
	# QEMU's e1000e makes IP fragments of what it should segment, and the other side keeps those for
	# half a minute when one of them is lost.
	ethtool -K "$PEER" tso off
	ip netns add peer
	ip link set "$PEER" netns peer
	ip -n peer link set lo up
	ip -n peer addr add "$PEER_ADDR/24" dev "$PEER"
	ip -n peer link set "$PEER" up
	ip -n peer neigh replace "$ADDR" lladdr "$MAC" dev "$PEER" nud permanent
}

# far_up: a veth named near, whose other end is in a namespace of its own, and takes frames from XDP.
far_up() {
	ip netns add far
	ip link add near type veth peer name far
	ip link set far netns far
	ip netns exec far ethtool -K far gro on
	ip -n far link set far up
	ip link set near up
}

# settle: QEMU has thousands of packets queued for a device that was flooded, and drops some of
# what follows; wait until they are through.
settle() {
	eventually 90 quiet
	eventually 60 pings
}

# (Not by rx_missed_errors: QEMU does not clear that register when it is read, so with each
# reading its packets are added once more.)
quiet() {
	local before
	before=$(stat_of rx_packets)
	sleep 0.5
	(($(stat_of rx_packets) - before < 10))
}

# shellcheck disable=SC2120 # mostly without its argument
# ping_peer [COUNT]: every packet is answered, once what was queued on the way is through.
ping_peer() {
	settle
	no_ping_lost "${1:-3}" && return
	ip -s link show dev "$(iface)"
	in_peer ip -s link show dev "$PEER"
	dmesg | tail -n 3
	return 1
}

pings() { ping -q -c 1 -W 1 "$PEER_ADDR"; }

# no_ping_lost COUNT: of so many, whatever else is going on.
no_ping_lost() {
	ping -q -c "$1" -i 0.1 -W 5 "$PEER_ADDR" >/tmp/ping
	cat /tmp/ping
	grep -q ' 0% packet loss' /tmp/ping
}

# count NAME: a counter of ethtool -S; of the pool, or the driver's.
count() { ethtool -S "$(iface)" | awk -v n="$1:" '$1 == n { print $2 }'; }
# more_than N COUNTER
more_than() { (($(count "$2") > $1)); }
# of_netdev KIND KEY=VALUE... NAME: that attribute of the queue or NAPI instance with the others, by netlink.
of_netdev() {
	./napis | awk -v what="$*" '
		BEGIN { n = split(what, want) }
		$1 == want[1] ":" {
			for (i in have) delete have[i]
			for (i = 2; i <= NF; i++) { split($i, pair, "="); have[pair[1]] = pair[2] }
			for (i = 2; i < n; i++) { split(want[i], pair, "="); if (have[pair[1]] != pair[2]) next }
			print have[want[n]] + 0
			exit
		}'
}

# of_queue N: packets that it has received.
of_queue() { of_netdev qstats "ifindex=$(<"/sys/class/net/$(iface)/ifindex")" "queue-id=$1" queue-type=0 rx-packets; }

# restart_one QUEUE: by the core, with another ring.
restart_one() { echo "$(iface) $1" >/sys/module/restart/parameters/queue; }

# Not how many pages there are now.
all_counters() {
	ethtool -S "$(iface)" | grep -v rx_pp_owned
	ip -s -s link show dev "$(iface)" | grep -c .
	for name in rx_packets rx_bytes tx_packets tx_bytes multicast; do echo "$name: $(stat_of $name)"; done
}
no_less() {
	awk -F ': *' 'NR == FNR { before[$1] = $2; next }
		$2 < before[$1] { print $1 ": " before[$1] ", then " $2; bad = 1 }
		END { exit bad }' /tmp/before /tmp/after
}

# ring DIRECTION: its size now.
ring() { ethtool -g "$(iface)" | awk -v d="$1:" '/Current/ { now = 1 } now && $1 == d { print $2 }'; }
# per_page: how many buffers share a page: at the usual MTU two, where the driver's pool can do that.
per_page() {
	if is_rust && [[ $BUFFERS != none ]] && (($(</sys/class/net/$(iface)/mtu) <= 1500)); then echo 2; else echo 1; fi
}
# ring_pages: how many pages the RX ring takes.
ring_pages() { echo $(($(ring RX) / $(per_page))); }
stat_of() { cat "/sys/class/net/$(iface)/statistics/$1"; }

# Of the pool, while nobody sends: the pages that the stack has, owned, and may be owned.
outstanding() { awk '/ pages / { sub(/.*outstanding /, ""); s += $1 } END { print s + 0 }' "$DEBUGFS/pools"; }
owned() { awk '/ pages / { s += $2 } END { print s + 0 }' "$DEBUGFS/pools"; }
max_owned() { awk '/ pages / { s += $4 } END { print s + 0 }' "$DEBUGFS/pools"; }

# less COUNTERS COUNTERS: the pool's counters that the one regular expression names, without those of the
# other.
less() {
	ethtool -S "$(iface)" | awk -v more="^rx_pp_($1):" -v less="^rx_pp_($2):" '
		$1 ~ more { n += $2 }
		$1 ~ less { n -= $2 }
		END { print n }'
}
# mapped: how many pages the pool has mapped now.
mapped() { less mapped unmapped; }
# posted: how many pages the driver has, by the counters: handed out, and neither back, nor freed, nor with
# the stack.
posted() {
	local out
	out=$(less "alloc_(fast|slow|refill)" "recycle_(cached|ring|ring_full)|returned_irq|released|revoked|escaped")
	echo $((out - $(outstanding)))
}

# The slots of 2 KiB that the kernel copies through what a device cannot reach. slots: how many are in
# use; no_more_slots: as many as at START, once all is sent.
SLOTS=/sys/kernel/debug/swiotlb
slots() { cat "$SLOTS/io_tlb_used"; }
no_more_slots() { eventually 10 at_start || { echo "bounce slots in use: $(slots), before: $START"; return 1; }; }
at_start() { (($(slots) == START)); }

# limit_to PAGES: of the pool; there is one.
limit_to() { echo "$(awk '$1 == "pool" { print $2 }' "$DEBUGFS/pools") $1" >"$DEBUGFS/limits"; }

# none_lost: at a limit of 0 the pool gives back all pages that come by; what it owns then is with the
# driver, or else the pool has lost it. (Of pages with two buffers it is not known how many the driver has.)
none_lost() {
	local max posted
	max=$(max_owned)
	limit_to 0
	if [[ $(per_page) == 2 ]]; then
		eventually 30 all_given || { cat "$DEBUGFS/pools"; return 1; }
		limit_to "$max"
		return
	fi
	eventually 30 all_posted || { cat "$DEBUGFS/pools"; echo "posted: $(posted)"; return 1; }
	posted=$(posted)
	limit_to "$max"
	check "pages with the driver" "$posted" -gt 0
	check "pages with the driver" "$posted" -lt "$(ring RX)"
}
# (Small packets are copied without a look at the limit.)
all_posted() {
	ping -q -c 10 -i 0.01 -s 1000 -W 1 "$PEER_ADDR"
	none_outstanding && (($(owned) == $(posted)))
}

all_given() {
	ping -q -c 10 -i 0.01 -s 1000 -W 1 "$PEER_ADDR"
	none_outstanding && (($(owned) < $(ring RX) && $(owned) > 0))
}

# reported WHAT: how many pages the report on those that are outstanding says it of.
reported() { awk -v what="  $1" 'index($0, what) == 1 { n += $NF } END { print n + 0 }' "$DEBUGFS/outstanding"; }

# An skb that is freed on another CPU than it was made on waits there for that CPU's next receive
# softirq (net.core.skb_defer_max, 128 of them), which may be never on an idle machine. A ping to
# ourselves on each CPU is one.
none_outstanding() {
	[[ $(outstanding) == 0 ]] && return
	receive_on_each_cpu
	[[ $(outstanding) == 0 ]]
}
receive_on_each_cpu() {
	local cpu
	ip link set lo up
	for ((cpu = 0; cpu < $(nproc); cpu++)); do
		taskset -c "$cpu" ping -q -c 1 -W 1 127.0.0.1
	done
}

# pool_clean: every page is back, and none took a way that it should not.
pool_clean() {
	has_pool || return 0
	eventually 30 none_outstanding || { cat "$DEBUGFS"/{pools,outstanding}; return 1; }
	check escaped "$(count rx_pp_escaped)" -eq 0
	check unbalanced "$(count rx_pp_unbalanced)" -eq 0
}

# all_unmapped: to be asked when there is no pool. Each was audited at its end.
all_unmapped() {
	local escaped unbalanced mapped unmapped
	has_pool || return 0
	read -r escaped unbalanced mapped unmapped < <(awk '{ n[$1] = $2 }
		END { print n["escaped"], n["unbalanced"], n["mapped"], n["unmapped"] }' "$DEBUGFS/totals")
	# Also where a failure does not end the function.
	check "pages freed past the hook" "$escaped" -eq 0 || return
	check "references dropped that were a pool's" "$unbalanced" -eq 0 || return
	check "mappings made and removed" "$mapped" -eq "$unmapped" || return
	check "mappings made" "$mapped" -gt 0
}

# starve: from here on NAPI gets no time. It has a thread, which waits for a CPU that a real-time task has for
# itself. feed: now it gets some; it had none since.
starve() {
	local cpu=$(($(nproc) - 1)) dev
	dev=$(iface)
	# What real-time tasks may have of a second, and what others have of it nevertheless.
	RT=/proc/sys/kernel/sched_rt_runtime_us FAIR=/sys/kernel/debug/sched/fair_server/cpu$cpu/runtime
	SHARES="$(<$RT) $(<"$FAIR")"
	echo 1 >"/sys/class/net/$dev/threaded"
	# One for each queue that the device has.
	pgrep "napi/$dev" | xargs -n 1 taskset -p -c "$cpu"
	echo -1 >$RT
	echo 0 >"$FAIR"
	taskset -c "$cpu" chrt -f 50 bash -c "while :; do :; done" &
	HOG=$!
	sleep 1
	POLLS=$(count polls)
}
feed() {
	check "polls by NAPI" "$(count polls)" -eq "$POLLS" || return
	kill "$HOG"
	wait "$HOG" || true
	echo "${SHARES#* }" >"$FAIR"
	echo "${SHARES% *}" >$RT
	echo 0 >"/sys/class/net/$(iface)/threaded"
}

# traffic_start: packets in both directions, as fast as they are answered, for as
# long as the script lives. traffic_stop ends it.
traffic_start() {
	ip netns exec peer ping -f -l 16 -q -s 1000 "$ADDR" &
	TRAFFIC=$!
}

# pktgen PACKETS SIZE BURST: frames from the peer; it says how many, and how long it took.
pktgen() { in_peer bash samples/pktgen/send.sh -i "$PEER" -m "$MAC" -n "$1" -s "$2" -b "$3"; }

# flood_start PORT [SECONDS]: UDP to the device under test, as fast as it can be sent.
flood_start() {
	ip netns exec peer ${2:+timeout "$2"} socat -u -b 1400 OPEN:/dev/zero "UDP4-SENDTO:$ADDR:$1" &
	TRAFFIC=$!
}

# sink: packets to UDP port 7 go nowhere. Without a socket there they would be answered by ICMP messages.
sink() { socat -u UDP4-RECV:7 OPEN:/dev/null & }

traffic_stop() {
	kill "$TRAFFIC"
	wait "$TRAFFIC" || true
}

# has_socket PROTOCOL PORT (peer's, with in_peer): is there one?
has_socket() { grep -q ":$(printf %04X "$2") 00000000:0000 " "/proc/net/$1"; }

# hold PORT [MB [FILE]]: a socket that nobody reads, and that may keep more than a whole pool, or with 0 MB what it
# may by default. HOLDER is its process, which would write to FILE.
hold() {
	[[ ${2-} == 0 ]] || sysctl -qw net.core.rmem_default=$((${2:-256} << 20))
	socat -u -b 65536 "UDP4-RECV:$1" "OPEN:${3:-/dev/null},creat,trunc" &
	HOLDER=$!
	eventually 10 has_socket udp "$1"
	kill -STOP "$HOLDER"
	sysctl -qw net.core.rmem_default=212992
}

end_hold() {
	kill -KILL "$HOLDER"
	wait "$HOLDER" || true
}

# to_holder PORT PACKETS SIZE [FROM]: so many for the socket there, from an address of the peer's.
to_holder() {
	in_peer socat -u -b "$3" "OPEN:/dev/zero,readbytes=$(($2 * $3))" "UDP4-SENDTO:$ADDR:$1${4:+,bind=$4}"
	eventually 30 quiet
}

# charged PORT: bytes, for what the socket there keeps.
charged() {
	local port
	port=$(printf ":%04X" "$1")
	echo $((0x$(awk -v port="$port\$" '$2 ~ port { sub(/.*:/, "", $5); print $5 }' /proc/net/udp)))
}
