/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the physical function sets for a function, and the switch enforces (PRM
 * "Virtual functions"). It survives resets of functions, the PF's included.
 */
#ifndef SVAN_NET_VPORT_H
#define SVAN_NET_VPORT_H

#include "base/base.h"
#include "net/rate.h"

typedef struct SvanVport {
    uint8_t flags;              /* SVAN_FUNCTION_*; the PF's: TRUSTED */
    uint8_t link;               /* enum svan_function_link */
    uint8_t priority;           /* of the tags, 0..7 */
    uint16_t vlan;              /* of all its traffic, 1..4094; 0: none is set */
    uint8_t mac[6];             /* its own address, as its registers show it */
    uint32_t rules;             /* how often what a frame may be has changed */
    SvanFnRate rate;
} SvanVport;

/* The attributes of a function to which nobody has set any. */
void svan_vport_reset(SvanFn *fn);
/*
 * Set the attributes that mask names (SVAN_SET_FUNCTION_*). GIDs and the filter of the
 * function are applied anew; what it may not have any more is dropped. SVAN_CMD_OK, or
 * the refusal, with nothing changed; the offset in it is that of a SET_FUNCTION.
 */
uint32_t svan_vport_set(SvanFn *fn, uint32_t mask,
                        const struct svan_function_attr *attr);
void svan_vport_get(const SvanFn *fn, struct svan_function_attr *attr);

/* May the function receive what is sent to this unicast address? */
bool svan_vport_owns_mac(const SvanFn *fn, const uint8_t *mac);

/* The tag of the VLAN that is set. */
static inline uint16_t svan_vport_tci(const SvanVport *vport)
{
    return vport->priority << 13 | vport->vlan;
}

/* SVAN_REG_PORT as the function sees it. */
uint32_t svan_port_status(const SvanFn *fn);

#endif /* SVAN_NET_VPORT_H */
