// SPDX-License-Identifier: GPL-2.0-only
/* Datagrams, one at a time, and all that can be seen of one that arrives. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/ip.h>
#include <string.h>

#include "ud-lib.h"

#define HOPS		33

/* From UDP's header to the ICRC, but for immediate and data. */
#define HEADERS		(8u + 12 + 8 + 4)

struct ibv_ah *create_ah(struct node *node, int gid_index,
			 const union ibv_gid *dgid)
{
	struct ibv_ah_attr attr = {
		.is_global = 1,
		.port_num = 1,
		.grh = {
			.dgid = *dgid,
			.sgid_index = gid_index,
			.hop_limit = HOPS,
		},
	};
	struct ibv_ah *ah = ibv_create_ah(node->pd, &attr);

	if (!ah)
		complain("ibv_create_ah: %m");
	return ah;
}

struct ibv_send_wr datagram(const struct way *way, struct ibv_sge *sge, int num_sge)
{
	static uint64_t count;

	return (struct ibv_send_wr){
		.wr_id = ++count << 32,
		.sg_list = sge,
		.num_sge = num_sge,
		.opcode = IBV_WR_SEND,
		.send_flags = IBV_SEND_SIGNALED,
		.imm_data = htonl(0x12345678 + count),
		.wr.ud = {
			.ah = way->ah,
			.remote_qpn = way->to->qp->qp_num,
			.remote_qkey = QKEY,
		},
	};
}

int leave(struct ep *from, struct ibv_send_wr *wr)
{
	int ret = ep_post_send(from, wr);

	if (!ret)
		return ep_expect(from, wr->wr_id, IBV_WC_SUCCESS);
	complain("posting a datagram: %s", strerror(ret));
	return -ret;
}

static uint32_t gather(const struct ibv_sge *sge, int num_sge, uint8_t *to)
{
	uint32_t length = 0;

	for (; num_sge--; sge++) {
		memcpy(to + length, (void *)(uintptr_t)sge->addr, sge->length);
		length += sge->length;
	}
	return length;
}

static uint16_t ip_sum(const uint8_t *header)
{
	uint32_t sum = 0;
	int i;

	for (i = 0; i < 20; i += 2)
		sum += header[i] << 8 | header[i + 1];
	return (sum & 0xffff) + (sum >> 16);
}

/* The kernel chooses the hop limit of a unicast address, whatever was asked for. */
static bool ipv4_is_right(const struct way *way, const uint8_t *header,
			  uint32_t length)
{
	struct iphdr ip;

	memcpy(&ip, header, sizeof(ip));
	return ip.version == 4 && ip.ihl == 5 && ip.protocol == IPPROTO_UDP &&
	       ip.ttl && ntohs(ip.tot_len) == sizeof(ip) + length &&
	       ip_sum(header) == 0xffff &&
	       !memcmp(&ip.saddr, &way->sgid->raw[12], 4) &&
	       !memcmp(&ip.daddr, &way->dgid->raw[12], 4);
}

static bool ipv6_is_right(const struct way *way, const uint8_t *header,
			  uint32_t length)
{
	struct ibv_grh grh;

	memcpy(&grh, header, sizeof(grh));
	return ntohl(grh.version_tclass_flow) >> 28 == 6 &&
	       grh.next_hdr == IPPROTO_UDP && grh.hop_limit &&
	       ntohs(grh.paylen) == length &&
	       !memcmp(&grh.sgid, way->sgid, sizeof(grh.sgid)) &&
	       !memcmp(&grh.dgid, way->dgid, sizeof(grh.dgid));
}

static int check_grh(const struct way *way, const uint8_t *grh, uint32_t length)
{
	if (gid_is_ipv4(way->sgid) ? ipv4_is_right(way, grh + 20, length) :
				     ipv6_is_right(way, grh, length))
		return 0;
	complain("the GRH of a datagram of %u octets is wrong", length);
	return -EIO;
}

/* The octets around the data, which begins at the first of these and has that length. */
static int check_around(const struct area *in, const struct ibv_sge *dst, int num,
			uint32_t length)
{
	ptrdiff_t at = -(ptrdiff_t)MARGIN;
	int i;

	for (i = 0; i < num; i++) {
		ptrdiff_t begin = dst[i].addr - (uintptr_t)in->data;
		uint32_t used = length < dst[i].length ? length : dst[i].length;

		if (area_check_canary(in, at, begin))
			return -EIO;
		length -= used;
		at = begin + used;
	}
	return area_check_canary(in, at, in->size + MARGIN);
}

int arm(const struct way *way, struct ibv_sge *dst, int num)
{
	uint32_t i;

	area_fill_canary(way->in);
	for (i = 0; i < 20 && i < dst[0].length; i++)
		((uint8_t *)(uintptr_t)dst[0].addr)[i] = 0x60;
	return ep_post_recv(way->to, RECV_ID, dst, num);
}

static int check_wc(const struct way *way, const struct ibv_send_wr *wr,
		    const struct ibv_wc *wc, uint32_t length)
{
	bool imm = wr->opcode == IBV_WR_SEND_WITH_IMM;

	if (wc->status == IBV_WC_SUCCESS && wc->wr_id == RECV_ID &&
	    wc->opcode == IBV_WC_RECV && wc->qp_num == way->to->qp->qp_num &&
	    wc->byte_len == GRH + length &&
	    wc->src_qp == way->from->qp->qp_num &&
	    wc->wc_flags == (IBV_WC_GRH | (imm ? IBV_WC_WITH_IMM : 0)) &&
	    (!imm || wc->imm_data == wr->imm_data))
		return 0;
	complain("receive 0x%llx: %s, opcode %d, %u octets, from QP %u, flags 0x%x; wanted %u octets, from QP %u",
		 (unsigned long long)wc->wr_id, ibv_wc_status_str(wc->status),
		 wc->opcode, wc->byte_len, wc->src_qp, wc->wc_flags,
		 GRH + length, way->from->qp->qp_num);
	return -EIO;
}

int arrive(const struct way *way, const struct ibv_send_wr *wr,
	   const struct ibv_sge *dst, int num, struct ibv_wc *wc)
{
	static uint8_t wanted[UD_AREA], seen[UD_AREA];
	uint32_t length = gather(wr->sg_list, wr->num_sge, wanted);
	uint32_t imm = wr->opcode == IBV_WR_SEND_WITH_IMM ? 4 : 0;

	if (ep_wait(way->to, wc, WAIT_MS)) {
		complain("a datagram of %u octets did not arrive", length);
		return -ETIMEDOUT;
	}
	gather(dst, num, seen);
	if (check_wc(way, wr, wc, length) ||
	    check_grh(way, seen, HEADERS + imm + (length + 3) / 4 * 4) ||
	    check_equal("datagram", seen + GRH, wanted, length))
		return -EIO;
	return check_around(way->in, dst, num, GRH + length);
}

int deliver(const struct way *way, struct ibv_send_wr *wr, struct ibv_sge *dst,
	    int num)
{
	struct ibv_wc wc;
	int ret = arm(way, dst, num);

	if (!ret)
		ret = leave(way->from, wr);
	return ret ? ret : arrive(way, wr, dst, num, &wc);
}

int deliver_piece(const struct way *way, struct ibv_send_wr *wr)
{
	struct ibv_sge dst = area_sge(way->in, 16, UD_AREA / 2);

	return deliver(way, wr, &dst, 1);
}

void cut(struct ibv_sge *sge, const struct area *area, int num, uint32_t length)
{
	uint32_t each = (length + num - 1) / num;
	int i;

	for (i = 0; i < num; i++)
		sge[i] = area_sge(area, i * (each + 7), each);
}
