/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Page requests and their answers (PRM chapter "Faults"). The formats are
 * fixed here; a device uses them when SVAN_CAP_PAGE_REQUESTS is set.
 */
#ifndef SVAN_FAULTS_H
#define SVAN_FAULTS_H

#include "types.h"

/* what an absent page waits for */
enum svan_fault_class {
	SVAN_FAULT_UNKNOWN		= 0,
	SVAN_FAULT_ZERO_FILL		= 1,
	SVAN_FAULT_PAGE_CACHE		= 2,
	SVAN_FAULT_FILE_READ		= 3,
	SVAN_FAULT_SWAP_IN		= 4,
	SVAN_FAULT_COPY_ON_WRITE	= 5,
	SVAN_FAULT_HUGE_PAGE		= 6,
	SVAN_FAULT_USERFAULTFD		= 7,
	SVAN_FAULT_MIGRATION		= 8,
	SVAN_FAULT_INVALIDATED		= 9,	/* cause not yet known */
	SVAN_FAULT_CLASS_COUNT		= 10,
};

#define SVAN_PAGE_REQ_WRITE	0x01
#define SVAN_PAGE_REQ_REMOTE	0x02	/* the access came over the wire */
#define SVAN_PAGE_REQ_PREFETCH	0x04

/* the device writes it to the page request queue; owner octet last */
struct svan_page_request {
	__le64	addr;
	__le32	length;			/* bytes wanted from addr on */
	__le32	token;			/* returned in the response */
	__le32	key;
	__le32	pasid;
	__le32	qpn;
	__u8	flags;			/* SVAN_PAGE_REQ_* */
	__u8	reserved[2];
	__u8	owner;			/* phase, as in struct svan_eqe */
};

SVAN_ASSERT_SIZE(struct svan_page_request, 32);
SVAN_ASSERT_OFFSET(struct svan_page_request, owner, 31);

enum svan_page_status {
	SVAN_PAGE_PENDING		= 1,	/* class and time are set */
	SVAN_PAGE_RESOLVED		= 2,
	SVAN_PAGE_FAILED		= 3,
};

/* the driver's answer */
struct svan_page_response {
	__le32	token;
	__u8	status;			/* enum svan_page_status */
	__u8	fault_class;		/* enum svan_fault_class */
	__le16	reserved;
	__le64	time_ns;		/* PENDING: 0 = unknown */
};

SVAN_ASSERT_SIZE(struct svan_page_response, 16);
SVAN_ASSERT_OFFSET(struct svan_page_response, time_ns, 8);

#endif /* SVAN_FAULTS_H */
