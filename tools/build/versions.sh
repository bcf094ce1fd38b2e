# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034
# One place for what is built from what. Sourced by lib.sh.
#
# KERNEL and QEMU are wishes: when the suite has moved on, apt.sh takes the
# newest of the same series that it offers and says so. What was taken is
# recorded in the build root (see kernel_release in lib.sh), so that headers,
# image and modules always agree.

SVAN_SUITE=trixie
SVAN_ARCH=amd64

KERNEL_SERIES=6.12
KERNEL_RELEASE=6.12.107+deb13-amd64
KERNEL_SOURCE_PACKAGE=linux-source-6.12

QEMU_SERIES=10.0
QEMU_VERSION=10.0.13

RDMA_CORE_VERSION=56.1
RDMA_CORE_ABI=34

# Reproducible (and ccache friendly) kernel builds.
KERNEL_TIMESTAMP='2025-01-01 00:00:00 UTC'
