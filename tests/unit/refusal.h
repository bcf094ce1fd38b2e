/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Commands that are right but for one field.
 */
#ifndef TESTS_REFUSAL_H
#define TESTS_REFUSAL_H

#include "unit.h"

typedef struct Refusal {
    uint32_t offset, size;      /* of the field in struct svan_cmd */
    uint64_t value;
    uint8_t status;
    uint32_t named;             /* offset that the response names */
} Refusal;

#define BAD_AS(member, value, status, member_named) \
    { offsetof(struct svan_cmd, member), \
      sizeof(((struct svan_cmd *)0)->member), value, SVAN_CMD_##status, \
      offsetof(struct svan_cmd, member_named) }
#define BAD(member, value, status)      BAD_AS(member, value, status, member)

/* Each is refused with its status and offset, and leaves nothing behind. */
static inline void check_refusals(Host *host, const struct svan_cmd *good,
                                  const Refusal *refusals, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct svan_cmd cmd = *good;
        struct svan_cmd_resp resp;
        uint64_t value = htole64(refusals[i].value);
        uint8_t status;

        memcpy((char *)&cmd + refusals[i].offset, &value, refusals[i].size);
        status = host_cmd(host, &cmd, &resp);
        if (status != refusals[i].status ||
            (status && le32toh(resp.syndrome) != refusals[i].named)) {
            fail_msg("row %zu: status %u instead of %u, offset %#x instead "
                     "of %#x", i, status, refusals[i].status,
                     le32toh(resp.syndrome), refusals[i].named);
        }
    }
}

#endif /* TESTS_REFUSAL_H */
