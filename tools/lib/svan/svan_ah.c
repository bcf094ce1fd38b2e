/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Address handles: the kernel resolves an address once, and UD sends copy it. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "svan.h"
#include "svan_abi.h"

struct ibv_ah *svan_create_ah(struct ibv_pd *ibpd, struct ibv_ah_attr *attr)
{
	struct svan_create_ah_resp resp = {};
	struct svan_ah *ah = calloc(1, sizeof(*ah));
	int ret;

	if (!ah)
		return NULL;
	ret = ibv_cmd_create_ah(ibpd, &ah->ah, attr, &resp.ibv_resp,
				sizeof(resp));
	if (ret) {
		verbs_debug(&to_svan_ctx(ibpd->context)->vctx,
			    "no address handle: %s\n", strerror(ret));
		free(ah);
		errno = ret;
		return NULL;
	}
	memcpy(&ah->av, resp.av, sizeof(ah->av));
	return &ah->ah;
}

int svan_destroy_ah(struct ibv_ah *ibah)
{
	int ret;

	ret = ibv_cmd_destroy_ah(ibah);
	if (ret)
		return ret;
	free(to_svan_ah(ibah));
	return 0;
}
