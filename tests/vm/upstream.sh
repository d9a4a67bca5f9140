#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The kernel's own tests of network drivers, tools/testing/selftests/drivers/net, unmodified, on a driver of ours.
# What a driver does not support is in upstream.list.

cd "$(dirname "$0")/.." || exit
export NETIF LOCAL_V4 LOCAL_V6=fd00::1 REMOTE_V4 REMOTE_V6=fd00::2 REMOTE_TYPE=netns REMOTE_ARGS=peer
# shellcheck source=lib.sh
. tests/lib.sh
# shellcheck source=net.sh
. tests/net.sh
LOCAL_V4=$ADDR REMOTE_V4=$PEER_ADDR

plan 2

prepare() {
	load_driver
	# Over down and up.
	sysctl -qw net.ipv6.conf.all.keep_addr_on_down=1
	ip addr add $LOCAL_V6/64 dev "$(iface)" nodad
	in_peer ip addr add $REMOTE_V6/64 dev "$PEER" nodad
	up
	ping_peer
	eventually 10 ping -q -c 1 -W 1 $REMOTE_V6
}

# upstream SCRIPT: its results as they come. A test that is in the list has to end as is said there, any other one has to
# pass.
upstream() {
	python3 "upstream/tools/testing/selftests/drivers/net/$1.py" 2>&1 | tee "$RPP_OUT/$1.log" |
		awk -v driver="$DRIVER" -v script="$1" '
		NR == FNR {
			if ($1 ~ "^(-|" driver ")$" && index($2, script ".") == 1) {
				want[test = $2] = $3
				$1 = $2 = $3 = ""
				sub(/^ +/, " ")
				why[test] = $0
			}
			next
		}
		/^1\.\.[0-9]+$/ { print; planned = substr($0, 4); next }
		/^(not )?ok / {
			is = /^not/ ? "fail" : / # SKIP/ ? "skip" : / # XFAIL/ ? "xfail" : "pass"
			test = /^not/ ? $4 : $3
			ran++
			list = test in want ? want[test] : "pass"
			if (is !~ "^(" list ")$") {
				print "not ok " ran " - " test
				print said "# " $0 "; expected: " list
				bad = 1
			} else {
				print "ok " ran " - " test (is == "pass" ? "" : " # SKIP expected:" why[test])
			}
			delete want[test]
			said = ""
			next
		}
		{ said = said (/^#/ ? "" : "# ") $0 "\n" }
		END {
			for (test in want) {
				print "not ok " ++ran " - " test ", which is in upstream.list, did not run"
				bad = 1
			}
			if (!planned || ran != planned) {
				if (!planned)
					print "1..1"
				print "not ok " ++ran " - " script ", which did not end"
				print said "# planned " planned + 0 " tests"
				bad = 1
			}
			exit bad
		}' tests/upstream.list -
}

remove() {
	pool_clean
	remove_modules
}

peer_up
try "probe" prepare
NETIF=$(iface)
for script in ping stats queues napi_id ring_reconfig xdp; do
	upstream $script && continue
	failures=$((failures + 1))
	# Its flood is for a day.
	pkill -KILL iperf3
done
try "removal" remove
