/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Multicast groups: which queue pairs of a function receive what is sent to them (PRM
 * "Queue pairs"; IBTA volume 1, 10.5).
 */
#include <stdlib.h>
#include <string.h>

#include "transport/transport.h"

#define REFUSE(status, field)   SVAN_REFUSAL(SVAN_CMD_##status, attach_mcast.field)

struct SvanGroup {
    SvanGroup *next;            /* of the function */
    uint8_t gid[16];
    uint32_t num;
    uint32_t served;            /* that have had the packet which is being received */
    uint64_t packet;            /* of which that holds: SvanIngress.heads */
    SvanQp *qps[SVAN_MAX_MCAST_QPS];
};

/* The link that points to the group of the GID, or is to point to a new one. */
static SvanGroup **find(SvanFn *fn, const uint8_t *gid)
{
    SvanGroup **link = &fn->qps->groups;

    while (*link && memcmp((*link)->gid, gid, sizeof((*link)->gid))) {
        link = &(*link)->next;
    }
    return link;
}

static uint32_t place_of(const SvanGroup *group, const SvanQp *qp)
{
    uint32_t n = 0;

    while (n < group->num && group->qps[n] != qp) {
        n++;
    }
    return n;
}

/* ---- who is in ---- */

/* The queue pairs of an account in a group. */
static uint32_t of_account(const SvanGroup *group, const SvanAccount *account)
{
    uint32_t count = 0;

    for (uint32_t n = 0; n < group->num; n++) {
        count += group->qps[n]->waiter.account == account;
    }
    return count;
}

/* May the account make one group more? A group is charged to its first member. */
static bool may_make(const SvanFn *fn, const SvanAccount *account)
{
    SvanShare share = {
        .total = SVAN_MAX_MCAST_GROUPS, .more = 1,
        .free = SVAN_MAX_MCAST_GROUPS - fn->qps->num_groups,
    };

    for (const SvanGroup *group = fn->qps->groups; group; group = group->next) {
        share.used += group->qps[0]->waiter.account == account;
    }
    return share.free && svan_account_may_keep(account, &share);
}

static bool may_join(const SvanGroup *group, const SvanAccount *account)
{
    SvanShare share = {
        .total = SVAN_MAX_MCAST_QPS, .free = SVAN_MAX_MCAST_QPS - group->num, .more = 1,
        .used = of_account(group, account),
    };

    return share.free && svan_account_may_keep(account, &share);
}

static SvanGroup *make(SvanFn *fn, SvanGroup **link, const uint8_t *gid)
{
    SvanGroup *group;

    group = calloc(1, sizeof(*group));
    if (!group) {
        return NULL;
    }
    if (!svan_group_join(fn, gid)) {
        free(group);
        return NULL;
    }
    memcpy(group->gid, gid, sizeof(group->gid));
    fn->qps->num_groups++;
    return *link = group;
}

static uint32_t check(const SvanQp *qp, const uint8_t *gid)
{
    if (qp->type != SVAN_QPT_UD) {
        return REFUSE(NOT_SUPPORTED, qpn);
    }
    return svan_gid_is_multicast(gid) ? SVAN_CMD_OK : REFUSE(BAD_PARAM, gid);
}

static bool is_in(const SvanGroup *group, const SvanQp *qp)
{
    return group && place_of(group, qp) < group->num;
}

/* link: where the group is, or is to be. */
static uint32_t add(SvanGroup **link, SvanQp *qp, const uint8_t *gid)
{
    SvanGroup *group = *link;

    if (group ? group->num >= SVAN_MAX_MCAST_QPS :
                qp->fn->qps->num_groups >= SVAN_MAX_MCAST_GROUPS) {
        return REFUSE(NO_RESOURCES, gid);
    }
    group = group ? group : make(qp->fn, link, gid);
    if (!group) {
        return REFUSE(NO_RESOURCES, gid);
    }
    group->qps[group->num++] = qp;
    return SVAN_CMD_OK;
}

uint32_t svan_group_attach(SvanQp *qp, const uint8_t *gid)
{
    SvanGroup **link = find(qp->fn, gid), *group = *link;
    uint32_t refusal = check(qp, gid);

    if (refusal || is_in(group, qp)) {
        return refusal;
    }
    if (group ? !may_join(group, qp->waiter.account) : !may_make(qp->fn, qp->waiter.account)) {
        return REFUSE(NO_RESOURCES, gid);
    }
    return add(link, qp, gid);
}

/* false: the queue pair was not in it. */
static bool take_out(SvanGroup **link, SvanQp *qp)
{
    SvanGroup *group = *link;
    uint32_t place = place_of(group, qp);

    if (place == group->num) {
        return false;
    }
    /* The order stays, so that a packet under way is missed by none of the others. */
    group->num--;
    memmove(&group->qps[place], &group->qps[place + 1],
            (group->num - place) * sizeof(group->qps[0]));
    group->served -= place < group->served;
    if (!group->num) {
        *link = group->next;
        svan_group_leave(qp->fn, group->gid);
        qp->fn->qps->num_groups--;
        free(group);
    }
    return true;
}

uint32_t svan_group_detach(SvanQp *qp, const uint8_t *gid)
{
    SvanGroup **link = find(qp->fn, gid);

    return *link && take_out(link, qp) ? SVAN_CMD_OK : REFUSE(BAD_RESOURCE, gid);
}

/* A queue pair does not know its groups, of which most have none. */
void svan_group_detach_all(SvanQp *qp)
{
    SvanGroup **link = &qp->fn->qps->groups;

    while (qp->type == SVAN_QPT_UD && *link) {
        SvanGroup *group = *link;

        take_out(link, qp);
        if (*link == group) {
            link = &group->next;
        }
    }
}

/* ---- what arrives ---- */

/* A packet that is not received to its end, since the function cannot, is left behind. */
static uint32_t *served(SvanFn *fn, SvanGroup *group)
{
    uint64_t packet = fn->core->ingress->heads;

    if (group->packet != packet) {
        group->packet = packet;
        group->served = 0;
    }
    return &group->served;
}

/* One queue pair a step. */
SvanStep svan_group_receive(SvanFn *fn, const SvanPkt *pkt,
                            SvanStep (*one)(SvanQp *qp, const SvanPkt *pkt))
{
    SvanGroup *group = *find(fn, pkt->addr.dgid);
    uint32_t *count;
    SvanStep step;

    if (!group) {
        return svan_pkt_drop(fn, pkt, &fn->stats->rx_no_qp, SVAN_DROP_NO_QP);
    }
    count = served(fn, group);
    if (*count < group->num) {
        step = one(group->qps[*count], pkt);
        if (step != SVAN_STEP_DONE) {
            return step;
        }
        ++*count;
    }
    return *count < group->num ? SVAN_STEP_AGAIN : SVAN_STEP_DONE;
}

/* ---- state ---- */

void svan_save_groups(SvanFn *fn, SvanWriter *writer)
{
    for (SvanGroup *group = fn->qps->groups; group; group = group->next) {
        uint32_t count = *served(fn, group);

        for (uint32_t n = 0; n < group->num; n++) {
            svan_put_u32(writer, group->qps[n]->qpn);
            svan_put_bytes(writer, group->gid, sizeof(group->gid));
            svan_put_u8(writer, n < count);
        }
    }
    svan_put_u32(writer, 0);
}

/* Accounts keep what they had, though they might not get it again. */
bool svan_load_groups(SvanFn *fn, SvanReader *reader)
{
    uint8_t gid[16];
    uint32_t qpn;

    while ((qpn = svan_get_u32(reader)) != 0) {
        SvanQp *qp = svan_qp_get(fn, qpn);

        svan_get_bytes(reader, gid, sizeof(gid));
        if (reader->failed || !qp || check(qp, gid) || is_in(*find(fn, gid), qp) ||
            add(find(fn, gid), qp, gid) != SVAN_CMD_OK) {
            return false;
        }
        *served(fn, *find(fn, gid)) += svan_get_u8(reader) != 0;
    }
    return true;
}
