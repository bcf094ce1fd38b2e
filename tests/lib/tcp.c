/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reno, and the frames of its segments.
 */
#include <endian.h>
#include <string.h>

#include "net/wire_ip.h"
#include "svan_core.h"
#include "tcp.h"

#define FIRST_WINDOW    (10 * TCP_MSS)
#define MOST            (TCP_WINDOW / 2 * TCP_MSS)
#define DEAF            (96 * TCP_MSS)
#define LEAST           (2 * TCP_MSS)
#define LONGEST         16              /* times the timeout */
#define DUPLICATES      3
#define IP              ETH_HLEN
#define L4              (ETH_HLEN + IPV4_HLEN)
#define HEADERS         (L4 + TCP_HLEN)
#define SACK_HLEN       12u     /* two NOPs, and a block */
#define ACK_LEN         (HEADERS + SACK_HLEN)
#define FLAG_ACK        0x10
#define FLAG_ECE        0x40
#define FLAG_CWR        0x80
#define ECT0            2
#define CE              3

/* ---- the sender ---- */

/* So long it waits for something new before it sends again, at first. */
static uint64_t patience(const TcpSender *sender)
{
    return (sender->deaf ? TCP_IMPATIENCE : TCP_TIMEOUT) << sender->log_patience;
}

void tcp_sender_init(TcpSender *sender, uint16_t port, uint64_t now)
{
    *sender = (TcpSender) {
        .port = port, .ecn = sender->ecn, .deaf = sender->deaf,
        .log_patience = sender->log_patience,
        .window = sender->deaf ? DEAF : FIRST_WINDOW, .threshold = MOST,
        .progress = now, .timeout = patience(sender),
    };
}

static uint32_t half_of_flight(const TcpSender *sender)
{
    uint32_t half = (sender->end - sender->first) / 2;

    return half < LEAST ? LEAST : half;
}

static bool is_before(uint32_t a, uint32_t b)
{
    return (int32_t)(a - b) < 0;
}

static void set_window(TcpSender *sender, uint32_t window)
{
    sender->window = sender->deaf ? DEAF : window > MOST ? MOST : window < LEAST ? LEAST :
                     window;
}

static uint8_t *has(TcpSender *sender, uint32_t number)
{
    uint32_t ahead = (number - sender->first) / TCP_MSS;

    return &sender->have[(sender->head + ahead) % TCP_WINDOW];
}

/*
 * A segment that is missing while later ones have come, each once in a recovery, or by
 * whoever does not care once in a while; else one more may leave.
 */
static bool fill_hole(TcpSender *sender, uint64_t now, uint32_t *number)
{
    if (!sender->again) {
        return false;
    }
    sender->again = false;
    if (is_before(sender->resent, sender->first) ||
        (sender->deaf && now - sender->resent_at >= patience(sender))) {
        sender->resent = sender->first;
        sender->resent_at = now;
    }
    while (is_before(sender->resent, sender->latest) && *has(sender, sender->resent)) {
        sender->resent += TCP_MSS;
    }
    if (!is_before(sender->resent, sender->latest)) {
        set_window(sender, sender->window + TCP_MSS);
        return false;
    }
    *number = sender->resent;
    sender->resent += TCP_MSS;
    return true;
}

static void skip_received(TcpSender *sender)
{
    while (is_before(sender->next, sender->end) && *has(sender, sender->next)) {
        sender->next += TCP_MSS;
    }
}

bool tcp_next(TcpSender *sender, uint64_t now, TcpSegment *segment)
{
    *segment = (TcpSegment) { .port = sender->port };
    skip_received(sender);
    if (fill_hole(sender, now, &segment->number)) {
        /* not ECN-capable: RFC 3168 */
    } else if (sender->next - sender->first + TCP_MSS <= sender->window) {
        segment->number = sender->next;
        sender->next += TCP_MSS;
        segment->capable = sender->ecn && sender->next - sender->end == TCP_MSS;
        if (sender->first == segment->number) {
            sender->progress = now;
        }
        if (is_before(sender->end, sender->next)) {
            sender->end = sender->next;
        }
    } else {
        return false;
    }
    segment->reduced = sender->tell_reduced;
    sender->tell_reduced = false;
    return true;
}

/* Congestion was met by something up to `end`. */
static void reduce(TcpSender *sender)
{
    sender->threshold = half_of_flight(sender);
    sender->recovered = sender->end;
    sender->reduced_once = true;
}

static void grow(TcpSender *sender, uint32_t octets)
{
    uint32_t more = octets < TCP_MSS ? octets : TCP_MSS;

    if (sender->window >= sender->threshold) {
        more = (uint64_t)TCP_MSS * TCP_MSS / sender->window;
    }
    set_window(sender, sender->window + more);
}

static void repeated(TcpSender *sender, uint64_t now)
{
    if (sender->first == sender->end) {
        return;
    }
    sender->duplicates++;
    if (sender->recovering) {
        sender->again = true;
    } else if (sender->duplicates == DUPLICATES) {
        reduce(sender);
        sender->recovering = sender->again = true;
        sender->resent_at = now;
        sender->resent = sender->first;
        set_window(sender, sender->threshold + DUPLICATES * TCP_MSS);
    }
}

static void recover(TcpSender *sender, uint32_t octets)
{
    if (!is_before(sender->first, sender->recovered)) {
        sender->recovering = false;
        set_window(sender, sender->threshold);
        return;
    }
    sender->again = true;
    set_window(sender, sender->window > octets ? sender->window - octets + TCP_MSS : 0);
}

void tcp_acknowledged(TcpSender *sender, const TcpAck *ack, uint64_t now)
{
    uint32_t octets = ack->number - sender->first;

    if (ack->port != sender->port || octets > sender->end - sender->first) {
        return;
    }
    if (ack->received - sender->first < sender->end - sender->first) {
        *has(sender, ack->received) = 1;
        if (is_before(sender->latest, ack->received + TCP_MSS)) {
            sender->latest = ack->received + TCP_MSS;
        }
    }
    if (!octets) {
        repeated(sender, now);
        return;
    }
    for (; sender->first != ack->number; sender->first += TCP_MSS) {
        *has(sender, sender->first) = 0;
        sender->head = (sender->head + 1) % TCP_WINDOW;
    }
    sender->progress = now;
    sender->timeout = patience(sender);
    sender->duplicates = 0;
    if (is_before(sender->next, sender->first)) {
        sender->next = sender->first;
    }
    if (sender->recovering) {
        recover(sender, octets);
    } else if (!ack->echo || !sender->ecn) {
        grow(sender, octets);
    } else if (!sender->reduced_once || !is_before(sender->first, sender->recovered)) {
        reduce(sender);
        set_window(sender, sender->threshold);
        sender->tell_reduced = true;
    }
}

void tcp_look_at_clock(TcpSender *sender, uint64_t now)
{
    if (sender->first == sender->end || now - sender->progress < sender->timeout) {
        return;
    }
    reduce(sender);
    set_window(sender, TCP_MSS);
    sender->recovering = sender->again = false;
    sender->duplicates = 0;
    sender->next = sender->first;
    sender->progress = now;
    if (sender->timeout < LONGEST * patience(sender) && !sender->deaf) {
        sender->timeout *= 2;
    }
}

/* ---- the receiver ---- */

TcpAck tcp_received(TcpReceiver *receiver, const TcpSegment *segment)
{
    uint32_t ahead;

    if (segment->port != receiver->port) {
        *receiver = (TcpReceiver) {
            .port = segment->port, .next = segment->number, .octets = receiver->octets,
        };
    }
    receiver->echo = (receiver->echo && !segment->reduced) || segment->marked;
    ahead = (segment->number - receiver->next) / TCP_MSS;
    if (ahead < TCP_WINDOW) {
        uint8_t *have = &receiver->have[(receiver->head + ahead) % TCP_WINDOW];

        receiver->octets += *have ? 0 : TCP_MSS;
        *have = 1;
    }
    while (receiver->have[receiver->head]) {
        receiver->have[receiver->head] = 0;
        receiver->head = (receiver->head + 1) % TCP_WINDOW;
        receiver->next += TCP_MSS;
    }
    return (TcpAck) {
        .number = receiver->next, .received = segment->number, .port = receiver->port,
        .echo = receiver->echo,
    };
}

/* ---- frames ---- */

static void put16(uint8_t *p, uint32_t value)
{
    p[0] = value >> 8;
    p[1] = value;
}

static void put32(uint8_t *p, uint32_t value)
{
    put16(p, value >> 16);
    put16(p + 2, value);
}

static uint32_t get16(const uint8_t *p)
{
    return p[0] << 8 | p[1];
}

static uint32_t get32(const uint8_t *p)
{
    return get16(p) << 16 | get16(p + 2);
}

static void write_headers(uint8_t *frame, const TcpEnds *ends, uint32_t len, uint8_t ecn)
{
    uint8_t *ip = frame + IP, *tcp = frame + L4;

    memset(frame, 0, HEADERS);
    memcpy(frame, ends->dmac, 6);
    memcpy(frame + 6, ends->smac, 6);
    put16(frame + 12, ETHERTYPE_IPV4);
    ip[0] = 0x45;
    ip[1] = ecn;
    put16(ip + 2, len - IP);
    ip[8] = 64;
    ip[9] = IPPROTO_TCP;
    memcpy(ip + 12, ends->sip, 4);
    memcpy(ip + 16, ends->dip, 4);
    put16(ip + 10, svan_csum_fold(svan_csum_add(0, ip, IPV4_HLEN)));
    tcp[12] = TCP_HLEN / 4 << 4;
    tcp[13] = FLAG_ACK;
    put16(tcp + 14, 0xffff);
}

void tcp_write_segment(uint8_t *frame, const TcpEnds *ends, const TcpSegment *segment)
{
    uint8_t *tcp = frame + L4;

    write_headers(frame, ends, TCP_FRAME, segment->capable ? ECT0 : 0);
    put16(tcp, segment->port);
    put16(tcp + 2, TCP_PORT);
    put32(tcp + 4, segment->number);
    tcp[13] |= segment->reduced ? FLAG_CWR : 0;
}

uint32_t tcp_write_ack(uint8_t *frame, const TcpEnds *ends, const TcpAck *ack)
{
    uint8_t *tcp = frame + L4;

    write_headers(frame, ends, ACK_LEN, 0);
    memcpy(tcp + TCP_HLEN, (uint8_t[]) { 1, 1, 5, 10 }, 4);
    put32(tcp + TCP_HLEN + 4, ack->received);
    put32(tcp + TCP_HLEN + 8, ack->received + TCP_MSS);
    tcp[12] = (TCP_HLEN + SACK_HLEN) / 4 << 4;
    put16(tcp, TCP_PORT);
    put16(tcp + 2, ack->port);
    put32(tcp + 8, ack->number);
    tcp[13] |= ack->echo ? FLAG_ECE : 0;
    return ACK_LEN;
}

static bool is_tcp(const uint8_t *frame, uint32_t len)
{
    return len >= HEADERS && get16(frame + 12) == ETHERTYPE_IPV4 && frame[IP] == 0x45 &&
           frame[IP + 9] == IPPROTO_TCP;
}

bool tcp_read_segment(const uint8_t *frame, uint32_t len, TcpSegment *segment)
{
    const uint8_t *tcp = frame + L4;

    if (!is_tcp(frame, len) || len != TCP_FRAME || get16(tcp + 2) != TCP_PORT) {
        return false;
    }
    *segment = (TcpSegment) {
        .port = get16(tcp), .number = get32(tcp + 4),
        .capable = frame[IP + 1] & CE, .marked = (frame[IP + 1] & CE) == CE,
        .reduced = tcp[13] & FLAG_CWR,
    };
    return true;
}

bool tcp_read_ack(const uint8_t *frame, uint32_t len, TcpAck *ack)
{
    const uint8_t *tcp = frame + L4;

    if (!is_tcp(frame, len) || len != ACK_LEN || get16(tcp) != TCP_PORT) {
        return false;
    }
    *ack = (TcpAck) {
        .port = get16(tcp + 2), .number = get32(tcp + 8), .echo = tcp[13] & FLAG_ECE,
        .received = get32(tcp + TCP_HLEN + 4),
    };
    return true;
}
