/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Page requests, their answers, and how a transfer that meets an absent page is
 * handled (PRM chapter "Faults"). A device has them with SVAN_CAP_PAGE_REQUESTS.
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
#define SVAN_PAGE_REQ_PROTECTED	0x04	/* present, but not for this access */
#define SVAN_PAGE_REQ_PROCESS	0x08	/* pasid counts, else key */

/*
 * The device writes page requests to the page request queue, owner octet last, with
 * a phase as in a CQE's owner octet (queues.h). The token names a request on both
 * sides. Its bits SVAN_PAGE_TOKEN_INDEX are an index below the ring's size, which no
 * other request has that waits for its final answer.
 */
#define SVAN_PAGE_TOKEN_INDEX	0x0000ffff

struct svan_page_request {
	__le64	addr;			/* of the first page, as in the table */
	__le64	entry;			/* what stood in the table */
	__le32	length;			/* bytes wanted from addr on, >= 1 page */
	__le32	token;			/* returned in the responses */
	__le32	key;			/* whose access it was */
	__le32	pasid;			/* with PROCESS */
	__le32	qpn;			/* of the first that met it */
	__u8	flags;			/* SVAN_PAGE_REQ_* */
	__u8	level;			/* of the entry, 1 = leaf */
	__u8	attempt;		/* how often the page was gone again */
	__u8	reserved0;
	__le32	generation;		/* of the process, with PROCESS */
	__u8	reserved1[19];
	__u8	owner;			/* SVAN_PAGE_REQ_PHASE */
};

#define SVAN_PAGE_REQ_PHASE	0x01	/* 1 in the first pass over the ring */

SVAN_ASSERT_SIZE(struct svan_page_request, 64);
SVAN_ASSERT_OFFSET(struct svan_page_request, qpn, 32);
SVAN_ASSERT_OFFSET(struct svan_page_request, generation, 40);
SVAN_ASSERT_OFFSET(struct svan_page_request, owner, 63);

/* a transfer fails if its page, each time RESOLVED, is gone so often in a row */
#define SVAN_PAGE_ATTEMPT_MAX	0xff

#define SVAN_PRQ_MIN_LOG_SIZE	6	/* 64 requests = 4096 bytes */
#define SVAN_PRQ_MAX_LOG_SIZE	12

enum svan_page_status {
	SVAN_PAGE_PENDING		= 1,	/* class and time are set */
	SVAN_PAGE_RESOLVED		= 2,
	SVAN_PAGE_FAILED		= 3,
};

/* The driver's answer to a request: any number of PENDING, then RESOLVED or FAILED. */
struct svan_page_response {
	__le32	token;
	__u8	status;			/* enum svan_page_status */
	__u8	fault_class;		/* enum svan_fault_class */
	__le16	reserved;
	__le64	time_ns;		/* PENDING: from now on, 0 = unknown */
};

SVAN_ASSERT_SIZE(struct svan_page_response, 16);
SVAN_ASSERT_OFFSET(struct svan_page_response, time_ns, 8);

/* what is done with a transfer that meets an absent page */
enum svan_fault_mode {
	SVAN_FAULT_MODE_AUTO		= 0,	/* policies only: by the estimate */
	SVAN_FAULT_MODE_HOLD		= 1,	/* in the device's fault buffer */
	SVAN_FAULT_MODE_RNR		= 2,	/* NAK, with the covering timer */
	SVAN_FAULT_MODE_DIVERT		= 3,	/* to a spare page */
	SVAN_FAULT_MODE_DROP		= 4,	/* and call back by a sequence NAK */
	SVAN_FAULT_MODE_FAIL		= 5,	/* chosen by FAILED alone */
	SVAN_FAULT_MODE_COUNT		= 6,
};

/* where an estimate may come from */
#define SVAN_ESTIMATE_ENTRY	0x01	/* absent entry of the table */
#define SVAN_ESTIMATE_LOCATION	0x02	/* absent entry of a page table */
#define SVAN_ESTIMATE_RESPONSE	0x04	/* PENDING */
#define SVAN_ESTIMATE_MASK	0x07

/*
 * AUTO takes the first of hold, divert and drop whose limit (*_max_us) covers the
 * estimate and that has room; above all limits it answers by an RNR NAK. The other
 * modes are for comparison: each is taken whatever the estimate says, if it has room.
 */
struct svan_fault_policy {
	__u8	mode;			/* enum svan_fault_mode but FAIL */
	__u8	sources;		/* SVAN_ESTIMATE_* that count */
	__le16	reserved0;
	__le32	hold_max_us;
	__le32	divert_max_us;
	__le32	drop_max_us;
	__le32	bound_us;		/* after this time an RNR NAK is sent; 0: never */
	__le32	unknown_us;		/* taken for an unknown time */
	__le32	hold_bytes;		/* of the fault buffer, for one QP */
	__le32	divert_pages;		/* of the spare pages, for one QP */
};

SVAN_ASSERT_SIZE(struct svan_fault_policy, 32);
SVAN_ASSERT_OFFSET(struct svan_fault_policy, hold_max_us, 4);

#endif /* SVAN_FAULTS_H */
