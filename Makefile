# SPDX-License-Identifier: GPL-2.0-or-later
# The only front door. Targets call scripts, which keep what they make in the
# user's cache and below build/; `make help` lists them.
#
#: Svan: an RDMA NIC without hardware
#:
#:   make run      build everything, boot a guest, run the benchmarks over Svan and
#:                 over soft-RoCE, print the table (build/run/results.csv)
#:   make test     every layer of the test suite; LAYERS='unit sim' runs only those,
#:                 V=1 shows all output (see tests/layers)
#:   make check    the layers that need neither a guest nor QEMU
#:   make guest CMD='...'
#:                 run a command in a fresh guest with two Svan devices wired to
#:                 each other; exits with its status
#:   make shell    the same with a prompt
#:   make bench    the benchmarks alone; BENCH='--tools ib_write_bw --sizes 64,4096',
#:                 also --devices svan,rxe --paths loopback,wire,two-guests
#:   make compare OLD=COMMIT
#:                 is it slower than COMMIT? Guests of both in turn, PAIRS=7, the median
#:                 ratio of each benchmark with its interval (half an hour)
#:   make test-long
#:                 the torture, alone and beside a hostile neighbour, LONG_SECONDS=600
#:                 each over LONG_SEEDS='1 2 3 4 5'; an accelerator with reordered stores;
#:                 verified traffic over a bad link, LINK_SECONDS=600; cheats in virtual
#:                 time, check-dcqcn; the whole driver's tests (70 minutes in all)
#:   make test-nested
#:                 a guest with an IOMMU gives virtual functions to a nested one by
#:                 vfio-pci: pingpong, perftest, memory on demand, unplug (5 minutes)
#:   make test-kvm the selftests in a guest under nested KVM, RUNS=10 times
#:                 (20 to 30 minutes each); TESTS='odp torture' for those alone
#:   make test-fresh
#:                 make run and make test in fresh minimal chroots of Debian 12 and 13
#:                 (hours; SUITES='trixie' FRESH='build check' for less of it)
#:   make fuzz     the fuzz targets, FUZZ_SECONDS=60 each
#:   make experiment-registration
#:                 time to register and to the first byte, by kind of key
#:                 (build/experiments/registration/report.html)
#:   make experiment-faults
#:                 fault modes under memory pressure, fixed and by estimate
#:                 (half an hour; build/experiments/faults/report.html)
#:   make experiment-neighbours
#:                 the rate of a process beside one whose faults nobody serves
#:   make experiment-attacks
#:                 a virtual function beside one that attacks what the two share
#:                 (7 minutes; build/experiments/attacks/attacks.csv); ENFORCED=1: policed
#:   make experiment-congestion
#:                 functions that share a link, one of which cheats, with and without
#:                 enforcement (11 minutes; build/experiments/congestion/report.html)
#:   make experiment-police
#:                 what it costs a virtual function that it is policed while nothing is
#:                 congested, PAIRS=21 (14 minutes)
#:   make experiment-peer
#:                 jobs driven by the CPU and by the accelerator: latency, instructions,
#:                 wake-ups, overlap (3 minutes; build/experiments/peer/report.html)
#:   make experiment-fabric
#:                 fat trees of 100 to 10,000 device cores in virtual time: packets a
#:                 second, memory, the same bytes for 1, 2 and 4 processes (5 minutes;
#:                 build/experiments/fabric/report.html); LONG=1: 10^8 packets, too
#:   make check-dcqcn
#:                 congestion control against what is published about DCQCN, in virtual time,
#:                 no guest (2 minutes; build/dcqcn/report.html)
#:   make lint     checkpatch, sparse, shellcheck, licences, sizes of files and
#:                 functions, the core's rooms, the manual's tables
#:   make docs     the documentation as HTML: build/docs/index.html
#:   make build    QEMU, modules, provider and guest image, without running them
#:   make debug-kernel
#:                 the kernel of DEBUG_KERNEL=1 (10 minutes, kept in the cache)
#:   make clean    remove build/; the cache stays
#:
#: For guest and shell; all but VMS, PEER, SHARE and NICS for run and bench, too:
#:   VMS=2              two guests wired to each other; PEER='...' runs in the second
#:   WIRE=stream        they are wired by a pair of sockets, not by shared memory;
#:                      with LINK WIRE=ring: by shared memory, not by sockets
#:   PACKAGES='a b'     more Debian packages in the guest
#:   SHARE=dir          mount a folder of this machine at /mnt/share
#:   PEERDEV=1          an accelerator in each guest: /dev/accel/accel0;
#:                      PEERDEV_ARGS='reorder=1' gives it properties
#:   LINK='rate=10G delay=5us loss=1%'
#:                      svan-switch between the two guests, or devices, with such links
#:                      (Documentation/testing/switch.rst)
#:   NICS=3             one guest with so many Svan devices
#:   VFS=4              each device has so many virtual functions, for sriov_numvfs
#:   QEMU_ARGS='...'    more arguments for QEMU
#:   DEBUG_KERNEL=1     a kernel with KASAN, lockdep, kmemleak and UBSAN
#:   More of them (SMP, MEM, TIMEOUT, SVAN_ARGS, RXE ...): Documentation/testing/guest.rst
#:
#: Everywhere:
#:   SVAN_CACHE=dir     where downloads and built trees are kept (~/.cache/svan)
#:   SVAN_JOBS=n        parallel jobs (the number of CPUs)

MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# What is given on the command line goes on as it was typed: a $ in CMD is the
# guest's business, not make's.
verbatim = $(if $(filter command,$(origin $(1))),$(eval override $(1) := $$(value $(1)))$(eval export $(1)))
$(foreach v,$(.VARIABLES),$(call verbatim,$(v)))

FUZZ_SECONDS ?= 60
export FUZZ_SECONDS

# What each part is made from; folders count too, so that a removed file is seen.
lib       := tools/build/lib.sh tools/build/versions.sh tools/build/root-packages
headers   := $(shell find include)
qemu_src  := $(shell find qemu-hw) $(headers) tools/build/qemu.sh $(wildcard tools/build/qemu-*.patch) $(lib)
kmod_src  := $(shell find Kbuild drivers) $(headers) tools/build/modules.sh $(lib)
self_src  := $(shell find tests/selftests tools/experiment/*.[ch] $(addprefix tools/experiment/,sweep.py beside.py attacks.py share.py functions.sh attacks-guest congestion-guest police-guest) tools/experiment/Makefile tools/peer tests/verbs/dmabuf_alloc.patch 2>/dev/null) $(headers) tools/build/selftests.sh $(lib)
user_src  := $(shell find tools/lib/svan 2>/dev/null) $(headers) tools/build/provider.sh $(lib)

qemu      := build/qemu-system-x86_64
modules   := build/stamp/modules
provider  := build/stamp/provider
selftests := $(if $(wildcard tests/selftests/Makefile),build/stamp/selftests)
switch    := build/svan-switch
fabric    := build/svan-fabric
debug     := build/debug-kernel/bzImage
parts     := $(qemu) $(modules) $(provider) $(selftests) $(switch) $(fabric)
ifneq ($(filter-out 0,$(DEBUG_KERNEL)),)
parts     += $(debug) build/stamp/modules-debug
endif

help:
	@sed -n 's/^#: \{0,1\}//p' $(firstword $(MAKEFILE_LIST))

run: $(parts)
	@tools/run/checks-and-benchmarks

bench: $(parts)
	@tools/run/bench $(BENCH)

guest: $(parts)
	@tools/guest/boot

shell: $(parts)
	@tools/guest/boot shell

build: $(parts)
	@tools/guest/image.sh $(PACKAGES) >/dev/null

test: build build/linux/scripts/checkpatch.pl
	@tests/run-all $(if $(filter-out 0,$(V)),-v) $(LAYERS)

test-long: build
	@tests/long/long-torture

test-nested: build
	@tests/kvm/test-nested

test-kvm: build
	@tests/kvm/test-kvm $(TESTS)

test-fresh:
	@tests/fresh/fresh-chroots

compare: build
	@tools/run/compare $(BENCH)

experiment-registration experiment-faults experiment-neighbours experiment-attacks experiment-congestion experiment-peer experiment-police: experiment-%: $(parts)
	@tools/experiment/$*

experiment-fabric: $(fabric)
	@tools/experiment/fabric

check: host-packages
	@$(MAKE) -C tests check

check-dcqcn: host-packages
	@$(MAKE) -C tests check-dcqcn

fuzz: host-packages
	@$(MAKE) -C tests fuzz

lint: $(qemu) build/linux/scripts/checkpatch.pl
	@tools/build/lint.sh

docs: | root
	@tools/build/docs.sh

debug-kernel: $(debug)

host-packages:
	@tools/build/host-packages.sh

clean:
	rm -rf build

# The parts. Scripts write a target only when it changed, so touch it.
root: host-packages
	@tools/build/root.sh

$(qemu): $(qemu_src) | root
	@tools/build/qemu.sh
	@touch $@

$(modules): $(kmod_src) | root
	@tools/build/modules.sh
	@mkdir -p $(@D) && touch $@

$(provider): $(user_src) | root
	@tools/build/provider.sh
	@mkdir -p $(@D) && touch $@

$(switch): $(shell find tools/switch qemu-hw/wire qemu-hw/core) $(headers) | host-packages
	@$(MAKE) -C tools/switch OUT=$(CURDIR)/$@

$(fabric): $(shell find tools/fabric tools/switch tests/lib qemu-hw/core) $(headers) | host-packages
	@$(MAKE) -C tools/fabric OUT=$(CURDIR)/$@ BUILD=$(CURDIR)/build/fabric-obj

build/stamp/selftests: $(self_src) $(provider) | root
	@tools/build/selftests.sh
	@mkdir -p $(@D) && touch $@

$(debug): tools/build/debug-kernel.sh tools/build/debug-kernel.config $(lib) | root
	@tools/build/debug-kernel.sh

build/stamp/modules-debug: $(kmod_src) $(debug)
	@tools/build/modules.sh debug
	@mkdir -p $(@D) && touch $@

build/linux/scripts/checkpatch.pl: | root
	@tools/build/sources.sh linux-tools

.PHONY: help run bench guest shell build test check check-dcqcn fuzz lint docs clean
.PHONY: test-long test-nested test-kvm test-fresh compare
.PHONY: experiment-registration experiment-faults experiment-neighbours experiment-attacks experiment-peer experiment-congestion experiment-police
.PHONY: experiment-fabric
.PHONY: root host-packages debug-kernel
