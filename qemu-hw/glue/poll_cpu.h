/*
 * Svan RDMA NIC: is a host CPU free for polling?
 *
 * Everything here is called with the engine lock held.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_SVAN_POLL_CPU_H
#define HW_SVAN_POLL_CPU_H

typedef struct SvanPollCpu {
    unsigned cpus;                  /* host CPUs that QEMU may use */
    bool whole_host;                /* other processes count, too */
    unsigned host_cpus;             /* all that the host has */
    unsigned host_busy;             /* last looks that found none of them free */
    int64_t host_look;              /* when that was; get_clock(), ns */
    bool running;                   /* the iothread runs the engine */
    bool allowed;                   /* to poll */
    int64_t allowed_since;          /* this and all below: get_clock(), ns */
    int64_t differs_since;          /* what is seen differs from allowed; or 0 */
    int64_t last_look;              /* while the iothread polls, else 0 */
    int64_t penalty, penalty_end;   /* the next one's length; end of the last */
} SvanPollCpu;

/* whole_host: another process of the host is the peer, so what it runs counts. */
void svan_poll_cpu_init(SvanPollCpu *poll, bool whole_host);
/* The iothread begins, and ends, to run the engine. */
void svan_poll_cpu_begin(SvanPollCpu *poll);
void svan_poll_cpu_end(SvanPollCpu *poll);
/*
 * Whether to poll at this time. polling says that the caller has done nothing
 * but poll since it last asked.
 */
bool svan_poll_cpu_look(SvanPollCpu *poll, int64_t now, bool polling);

#endif /* HW_SVAN_POLL_CPU_H */
