# SPDX-License-Identifier: GPL-2.0
#
# What a user types. The modules are described in Kbuild, which is what
# "make -C $KDIR M=$PWD" reads.

export KERNEL KDIR KSRC RUSTC BINDGEN LLVM V RPP_CACHE MINUTES SEED
unexport CASE

.DEFAULT_GOAL := default
.PHONY: default help install uninstall deb setup modules kernel run test test-boots test-debug test-kcsan test-upstream soak bench bench-check tcp zero-copy pin-down check clean distclean

default:
	@scripts/kernel.sh modules auto

help:
	@echo 'make            build the modules: for the running kernel if it takes them, else for the VM'
	@echo 'make install    put them where modprobe finds them by name, for that kernel; make uninstall takes them away'
	@echo 'make deb        a package for DKMS, which builds them for each such kernel: rust-page-pool-dkms_*_all.deb'
	@echo 'make setup      install what is missing, prepare the kernel tree (done by the others as well)'
	@echo 'make modules    build the modules for the kernel of the VM'
	@echo 'make run        the main job: boot the VM, drive traffic, print the table of results'
	@echo 'make test       all tests: host, compile-fail, VM; ends with "N passed, N failed"'
	@echo 'make test-boots  suites once more: threaded interrupts, 4 CPUs, a lazy IOMMU, busy polling and others'
	@echo 'make test-debug  all tests in the VM on the debug kernel, and tests of its checkers; two hours'
	@echo 'make test-kcsan  all tests in the VM on the kcsan kernel, which looks for data races; an hour or two'
	@echo 'make test-upstream  the kernel'"'"'s own tests of network drivers, unmodified, on both of ours; ten minutes'
	@echo 'make soak       everything at once, for MINUTES=2; SEED= of an earlier run does the same again'
	@echo 'make bench      our pool, the C pool and the page allocator side by side: tables and plots'
	@echo 'make bench-check  the same in instructions, against the figures in samples/bench/baseline.json'
	@echo 'make tcp        TCP over an 82576, igb_rust beside C igb: instructions a megabyte'
	@echo 'make zero-copy  TCP mapped into user space, beside recv() and the kernel'"'"'s pool: instructions a megabyte'
	@echo 'make pin-down   a socket that never reads: what it pins, with our pool, the C pool and fragments'
	@echo 'make check      formatting, clippy, checkpatch, shellcheck'
	@echo 'make kernel     build a small kernel, for KERNEL=own, debug, kcsan, patched or uml (half an hour, uml less)'
	@echo 'make clean      remove what was built from this checkout, keep kernels and downloads'
	@echo 'make distclean  remove the whole cache'
	@echo
	@echo 'KERNEL=stock    Debian'"'"'s 7.3 kernel as it is (default), running: of this machine;'
	@echo '                stock@VERSION: the one of that package version, from any suite of Debian'"'"'s;'
	@echo '                of make kernel: own, debug (own, with KASAN, lockdep and more, .config.debug),'
	@echo '                kcsan (own, with the detector of data races, .config.kcsan),'
	@echo '                patched (own, with patches/), uml (User-Mode Linux, with patches/)'
	@echo 'KDIR=DIR        a prepared build directory of yours; KSRC=DIR: a source tree of yours'
	@echo 'RUSTC= BINDGEN= LLVM=    compilers of yours; V=1: show the commands'
	@echo 'RPP_CACHE=DIR   where everything built is kept (default ~/.cache/rust-page-pool)'

install uninstall:
	@scripts/kernel.sh $@

deb:
	@scripts/package/deb.sh

setup:
	@scripts/setup.sh
	@scripts/kernel.sh prepare

modules:
	@scripts/kernel.sh modules

kernel:
	@scripts/kernel.sh own

run: modules
	@scripts/measure.sh

test: modules
	@scripts/test.sh

test-boots: modules
	@scripts/test.sh boots

# "make kernel KERNEL=debug" comes before it. Two parts run at a time: the longest go first.
test-debug: KERNEL = debug
test-debug: modules
	@scripts/test.sh refuse shortage faults lifetime xdp e1000 load queues offload jumbo ethtool liar hook checkers kunit control

# "make kernel KERNEL=kcsan" comes before it.
test-kcsan: KERNEL = kcsan
test-kcsan: modules
	@scripts/test.sh refuse lifetime load xdp e1000 queues offload jumbo ethtool hook liar checkers control

test-upstream: modules
	@scripts/test.sh upstream upstream_igb

# On KERNEL=debug as well.
soak: modules
	@scripts/test.sh soak

bench: modules
	@scripts/bench.sh $(if $(CASE),--case $(CASE))

bench-check: modules
	@scripts/bench.sh --check

tcp: modules
	@scripts/tcp.sh

zero-copy: modules
	@scripts/zero-copy.sh

pin-down: modules
	@scripts/pin-down.sh

check:
	@scripts/check.sh

clean:
	@scripts/clean.sh

distclean:
	@scripts/clean.sh all
