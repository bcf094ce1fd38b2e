/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * What the other headers of the hardware interface need in the kernel, in user space
 * and in QEMU: fixed-width types, byte order and layout asserts.
 */
#ifndef SVAN_TYPES_H
#define SVAN_TYPES_H

#ifdef __KERNEL__

#include <linux/build_bug.h>
#include <linux/byteorder/generic.h>
#include <linux/stddef.h>
#include <linux/string.h>
#include <linux/types.h>
#include <asm/byteorder.h>

#define svan_cpu_to_le16(v)	cpu_to_le16(v)
#define svan_cpu_to_le32(v)	cpu_to_le32(v)
#define svan_cpu_to_le64(v)	cpu_to_le64(v)
#define svan_le16_to_cpu(v)	le16_to_cpu(v)
#define svan_le32_to_cpu(v)	le32_to_cpu(v)
#define svan_le64_to_cpu(v)	le64_to_cpu(v)

#else

#include <assert.h>
#include <endian.h>
#include <linux/types.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __CHECKER__
#define SVAN_FORCE	__attribute__((force))
#else
#define SVAN_FORCE
#endif

#define svan_cpu_to_le16(v)	((SVAN_FORCE __le16)htole16(v))
#define svan_cpu_to_le32(v)	((SVAN_FORCE __le32)htole32(v))
#define svan_cpu_to_le64(v)	((SVAN_FORCE __le64)htole64(v))
#define svan_le16_to_cpu(v)	le16toh((SVAN_FORCE uint16_t)(v))
#define svan_le32_to_cpu(v)	le32toh((SVAN_FORCE uint32_t)(v))
#define svan_le64_to_cpu(v)	le64toh((SVAN_FORCE uint64_t)(v))

#endif /* __KERNEL__ */

#define SVAN_ASSERT_SIZE(type, size) \
	static_assert(sizeof(type) == (size), #type " is not " #size " bytes")
#define SVAN_ASSERT_OFFSET(type, member, offset) \
	static_assert(offsetof(type, member) == (offset), \
		      #type "." #member " is not at " #offset)

#endif /* SVAN_TYPES_H */
