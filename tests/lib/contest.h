/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Functions of two NICs that send to a third by one link, which marks, each in its own way,
 * in virtual time. The NICs are real cores, the links are the switch's model. Nothing is
 * configured but that the functions are policed.
 */
#ifndef TESTS_CONTEST_H
#define TESTS_CONTEST_H

#include "eth_port.h"
#include "tcp.h"

#include "model/link.h"

#define CONTEST_NICS            4u
#define CONTEST_SENDERS         3u
#define CONTEST_SINK            2u      /* the NIC at the end of the link that all share */
#define CONTEST_ASIDE           3u      /* one whose link nobody else uses */
#define CONTEST_MAX_FLOWS       16u
#define CONTEST_MAX_PEERS       8u
#define CONTEST_OUTSTANDING     4u      /* messages of a queue pair */
#define CONTEST_MESSAGE         8192u
#define CONTEST_TICK            100000ull       /* ns: the grain of what software does by time */
#define CONTEST_LATENCIES       1024u

enum {
    CONTEST_FORGES_CNPS             = 1,
    CONTEST_FORGES_NOTIFICATIONS    = 2,
};

/* What a function does. */
typedef struct ContestWay {
    uint32_t flows;             /* queue pairs or connections; 0: it does nothing */
    uint64_t hop;               /* ns, then it goes on with another one; 0: all at once */
    uint8_t traffic_class;      /* of RDMA */
    bool deaf;                  /* its NIC, or its TCP, does not care about congestion */
    uint32_t peers;             /* addresses behind the same link that it sends to; 0: 1 */
    uint32_t log_mtu;           /* of RDMA; 0: 10 */
    bool tcp;
    bool ecn;                   /* TCP: it has negotiated ECN, ... */
    bool silent;                /* ... and its peer does not say what it sees */
    uint64_t limit;             /* bit/s, which it sets for its queue pairs again and again */
    uint32_t forges;            /* to the others in the sink's name, CONTEST_FORGES_* */
    bool unchecked;             /* nobody checks what source addresses it uses */
    uint32_t lies;              /* tiny frames for the sink by another link, each tick */
    bool aside;                 /* its peer has a link of its own */
} ContestWay;

typedef struct ContestSetup {
    uint64_t rate;              /* bit/s of all links ... */
    uint64_t out_rate;          /* ... but the one that all share; 0: of that, too */
    uint64_t in_rate;           /* of a link behind the first NIC's, which marks; 0: none */
    uint32_t kmin;              /* octets of queues from which on they mark; 0: 20000 */
    uint32_t log_patience;      /* timeouts, and delays of links, are 2^n times as long */
    struct {
        uint32_t nic;           /* 0 or 1 */
        ContestWay way;
    } senders[CONTEST_SENDERS];
    bool enforced, frozen;
    bool mute;                  /* the receiving NIC sends CNPs alone */
    bool usual;                 /* burst and delays as they are by default; else the least */
} ContestSetup;

typedef struct Contest Contest;

typedef struct ContestNic {
    Contest *contest;
    uint32_t id;
    NetNode net;
    Fake *fake;
    Host *hosts[1 + CONTEST_MAX_PEERS];         /* by function */
    NetLink up, in, down;       /* to the switch, within it, and from it */
    bool waits;                 /* the port is told when the link has room */
    bool running;
} ContestNic;

typedef struct ContestSender {
    ContestNic *nic;
    Host *host;
    ContestWay way;
    bool stopped;
    uint32_t current;           /* flow, of one that hops */
    uint64_t octets;            /* that have arrived */
    uint64_t latencies[CONTEST_LATENCIES];      /* of messages, by contest_latency() */
    /* RDMA */
    HostCq cq, peer_cqs[CONTEST_MAX_PEERS];
    HostQp qps[CONTEST_MAX_FLOWS], peers[CONTEST_MAX_FLOWS];
    uint32_t posted[CONTEST_MAX_FLOWS], done[CONTEST_MAX_FLOWS];
    uint64_t posted_at[CONTEST_MAX_FLOWS][CONTEST_OUTSTANDING];
    /* Ethernet */
    EthPort port;
    TcpSender connections[CONTEST_MAX_FLOWS];
    TcpReceiver ends[CONTEST_MAX_FLOWS];
    uint32_t forged;
} ContestSender;

struct Contest {
    NetSchedule schedule;
    ContestSetup setup;
    ContestNic nics[CONTEST_NICS];
    ContestSender senders[CONTEST_SENDERS];
    EthPort sink;               /* where TCP ends */
};

/* Nobody has sent anything yet. */
Contest *contest_new(const ContestSetup *setup);
void contest_free(Contest *contest);
/* So many ns. Those who do not send begin. */
void contest_go(Contest *contest, uint64_t ns);

/* The index of a latency in ns, and the most that has the same one; within 1/16. */
uint32_t contest_latency(uint64_t ns);
uint64_t contest_latency_of(uint32_t index);

#endif /* TESTS_CONTEST_H */
