/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Numbers, units, settings of links.
 */
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "settings.h"

typedef struct Unit {
    const char *name;
    uint64_t factor;
} Unit;

bool error_set(Error *error, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(error->text, sizeof(error->text), format, args);
    va_end(args);
    return false;
}

/* ---- numbers ---- */

/*
 * DIGITS[.DIGITS]UNIT, times the unit's factor, rounded down. The first unit without a
 * name takes a number without one. false: not so, or more than max.
 */
static bool scaled(const char *text, const Unit *units, uint64_t max, uint64_t *value)
{
    unsigned __int128 number = 0;
    uint64_t divisor = 1;
    const char *at = text;
    bool point = false;

    if (!isdigit((unsigned char)*at)) {
        return false;
    }
    for (; isdigit((unsigned char)*at) || (*at == '.' && !point); at++) {
        if (*at == '.') {
            point = true;
            continue;
        }
        number = number * 10 + (*at - '0');
        divisor *= point ? 10 : 1;
        if (number > UINT64_MAX || divisor > 1000000000) {
            return false;
        }
    }
    for (; units->name; units++) {
        if (!strcmp(at, units->name)) {
            number = number * units->factor / divisor;
            *value = number;
            return number <= max;
        }
    }
    return false;
}

bool parse_number(const char *text, uint64_t max, uint64_t *value, Error *error)
{
    static const Unit units[] = { { "", 1 }, { NULL, 0 } };

    return scaled(text, units, max, value) ||
           error_set(error, "%.40s is not a number up to %llu", text, (unsigned long long)max);
}

bool parse_time(const char *text, uint64_t max, uint64_t *ns, Error *error)
{
    static const Unit units[] = {
        { "ns", 1 }, { "us", 1000 }, { "ms", 1000000 }, { "s", 1000000000 }, { NULL, 0 },
    };

    if (!strcmp(text, "0")) {
        *ns = 0;
        return true;
    }
    return scaled(text, units, max, ns) ||
           error_set(error, "%.40s is not a time up to %llu s: say for example 5us (ns, us, "
                     "ms, s)", text, (unsigned long long)max / 1000000000);
}

bool parse_size(const char *text, uint64_t max, uint64_t *octets, Error *error)
{
    static const Unit units[] = {
        { "", 1 }, { "k", 1 << 10 }, { "K", 1 << 10 }, { "M", 1 << 20 }, { NULL, 0 },
    };

    return scaled(text, units, max, octets) ||
           error_set(error, "%.40s is not a size up to %llu octets: say for example 64K "
                     "(K and M are powers of 1024)", text, (unsigned long long)max);
}

static bool parse_rate(const char *text, uint64_t *rate, Error *error)
{
    static const Unit units[] = {
        { "", 1 }, { "k", 1000 }, { "K", 1000 }, { "M", 1000000 }, { "G", 1000000000 },
        { NULL, 0 },
    };

    if (!strcmp(text, "0") || !strcmp(text, "none")) {
        *rate = 0;
        return true;
    }
    return (scaled(text, units, NET_RATE_MAX, rate) && *rate >= NET_RATE_MIN) ||
           error_set(error, "%.40s is not a rate from 1k to 1000G: say for example 10G "
                     "(bit/s), or none", text);
}

static bool parse_chance(const char *text, uint32_t *ppm, Error *error)
{
    static const Unit units[] = {
        { "%", NET_PPM / 100 }, { "ppm", 1 }, { "", NET_PPM }, { NULL, 0 },
    };
    uint64_t value;

    if (!scaled(text, units, NET_PPM, &value)) {
        return error_set(error, "%.40s is not a chance up to 100%%: say for example 1%%, "
                         "100ppm or 0.01", text);
    }
    *ppm = value;
    return true;
}

/* ---- settings ---- */

static bool set_rate(NetLinkModel *model, char *text, Error *error)
{
    return parse_rate(text, &model->rate, error);
}

static bool set_delay(NetLinkModel *model, char *text, Error *error)
{
    return parse_time(text, NET_DELAY_MAX, &model->delay, error);
}

static bool set_jitter(NetLinkModel *model, char *text, Error *error)
{
    return parse_time(text, NET_DELAY_MAX, &model->jitter, error);
}

static bool set_octets(uint32_t *octets, char *text, uint64_t max, Error *error)
{
    uint64_t value;

    if (!parse_size(text, max, &value, error)) {
        return false;
    }
    *octets = value;
    return true;
}

static bool set_overhead(NetLinkModel *model, char *text, Error *error)
{
    return set_octets(&model->overhead, text, NET_OVERHEAD_MAX, error);
}

static bool set_queue(NetLinkModel *model, char *text, Error *error)
{
    return set_octets(&model->queue, text, NET_BYTES_MAX, error);
}

static bool set_ecn(NetLinkModel *model, char *text, Error *error)
{
    char *save, *kind = strtok_r(text, ":", &save), *word[4];
    uint32_t num = 0;

    while (num < 4 && (word[num] = strtok_r(NULL, ":", &save))) {
        num++;
    }
    if (kind && !strcmp(kind, "off") && !num) {
        model->marking = NET_MARK_OFF;
        return true;
    }
    if (kind && !strcmp(kind, "step") && num == 1) {
        model->marking = NET_MARK_STEP;
        return set_octets(&model->kmax, word[0], NET_BYTES_MAX, error);
    }
    if (kind && !strcmp(kind, "red") && num == 3) {
        model->marking = NET_MARK_RED;
        return set_octets(&model->kmin, word[0], NET_BYTES_MAX, error) &&
               set_octets(&model->kmax, word[1], NET_BYTES_MAX, error) &&
               parse_chance(word[2], &model->pmax, error) &&
               (model->kmin < model->kmax ||
                error_set(error, "ecn: KMIN has to be less than KMAX"));
    }
    return error_set(error, "ecn is off, red:KMIN:KMAX:PMAX (for example red:100K:400K:10%%) "
                     "or step:K (for example step:150K)");
}

static bool set_loss(NetLinkModel *model, char *text, Error *error)
{
    return parse_chance(text, &model->loss, error);
}

static bool set_duplicate(NetLinkModel *model, char *text, Error *error)
{
    return parse_chance(text, &model->duplicate, error);
}

static bool set_corrupt(NetLinkModel *model, char *text, Error *error)
{
    return parse_chance(text, &model->corrupt, error);
}

static bool set_reorder(NetLinkModel *model, char *text, Error *error)
{
    char *late = strchr(text, ':');

    model->reorder_delay = 100000;
    if (late) {
        *late++ = '\0';
        if (!parse_time(late, NET_DELAY_MAX, &model->reorder_delay, error)) {
            return false;
        }
    }
    return parse_chance(text, &model->reorder, error);
}

static const struct {
    const char *name;
    bool (*set)(NetLinkModel *model, char *text, Error *error);
} link_settings[] = {
    { "rate", set_rate },
    { "delay", set_delay },
    { "jitter", set_jitter },
    { "overhead", set_overhead },
    { "queue", set_queue },
    { "ecn", set_ecn },
    { "loss", set_loss },
    { "duplicate", set_duplicate },
    { "reorder", set_reorder },
    { "corrupt", set_corrupt },
};

#define NUM_SETTINGS    (sizeof(link_settings) / sizeof(link_settings[0]))

/* NUM_SETTINGS: none. */
static uint32_t find_setting(const char *word)
{
    size_t len = strcspn(word, "=");
    uint32_t i;

    for (i = 0; i < NUM_SETTINGS; i++) {
        if (strlen(link_settings[i].name) == len &&
            !strncmp(link_settings[i].name, word, len)) {
            break;
        }
    }
    return i;
}

bool is_setting(const char *word)
{
    return find_setting(word) < NUM_SETTINGS;
}

bool parse_change(char **words, uint32_t num, LinkChange *change, Error *error)
{
    *change = (LinkChange) { .mask = 0 };
    for (uint32_t i = 0; i < num; i++) {
        uint32_t which = find_setting(words[i]);
        char *value = strchr(words[i], '=');
        Error why;

        if (which == NUM_SETTINGS) {
            return error_set(error, "%.40s is no setting of a link: there are rate, delay, "
                             "jitter, overhead, queue, ecn, loss, duplicate, reorder, corrupt",
                             words[i]);
        }
        if (value) {
            value++;
        } else if (i + 1 < num) {
            value = words[++i];
        } else {
            return error_set(error, "%s has no value", words[i]);
        }
        if (!link_settings[which].set(&change->values, value, &why)) {
            return error_set(error, "%s: %.200s", link_settings[which].name, why.text);
        }
        change->mask |= 1u << which;
    }
    return change->mask || error_set(error, "no setting is given: say for example loss=1%%");
}

/* In the order of link_settings. */
static void copy_settings(NetLinkModel *to, const NetLinkModel *from, uint32_t mask)
{
#define COPY(bit, field) to->field = mask & 1u << (bit) ? from->field : to->field
    COPY(0, rate);
    COPY(1, delay);
    COPY(2, jitter);
    COPY(3, overhead);
    COPY(4, queue);
    COPY(5, marking);
    COPY(5, kmin);
    COPY(5, kmax);
    COPY(5, pmax);
    COPY(6, loss);
    COPY(7, duplicate);
    COPY(8, reorder);
    COPY(8, reorder_delay);
    COPY(9, corrupt);
#undef COPY
}

void change_apply(const LinkChange *change, NetLinkModel *model)
{
    copy_settings(model, &change->values, change->mask);
}

LinkChange change_saved(const LinkChange *change, const NetLinkModel *model)
{
    return (LinkChange) { *model, change->mask };
}
