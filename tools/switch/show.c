/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the switch tells about itself.
 */
#include <inttypes.h>

#include "switch.h"

static void show_time(FILE *out, const char *name, uint64_t ns)
{
    static const char *const units[] = { "ns", "us", "ms", "s" };
    uint32_t unit = 0;

    while (unit < 3 && ns && !(ns % 1000)) {
        ns /= 1000;
        unit++;
    }
    fprintf(out, " %s=%" PRIu64 "%s", name, ns, units[unit]);
}

static void show_chance(FILE *out, const char *name, uint32_t ppm)
{
    if (ppm) {
        fprintf(out, " %s=%u.%04u%%", name, ppm / 10000, ppm % 10000);
    }
}

/* As settings, so that they can be given again. */
static void show_model(FILE *out, const NetLinkModel *model)
{
    if (model->rate) {
        fprintf(out, " rate=%" PRIu64, model->rate);
    } else {
        fprintf(out, " rate=none");
    }
    show_time(out, "delay", model->delay);
    if (model->jitter) {
        show_time(out, "jitter", model->jitter);
    }
    fprintf(out, " overhead=%u", model->overhead);
    if (model->queue) {
        fprintf(out, " queue=%u", model->queue);
    }
    if (model->marking == NET_MARK_RED) {
        fprintf(out, " ecn=red:%u:%u:%uppm", model->kmin, model->kmax, model->pmax);
    } else if (model->marking == NET_MARK_STEP) {
        fprintf(out, " ecn=step:%u", model->kmax);
    }
    show_chance(out, "loss", model->loss);
    show_chance(out, "duplicate", model->duplicate);
    if (model->reorder) {
        fprintf(out, " reorder=%uppm:%" PRIu64 "ns", model->reorder, model->reorder_delay);
    }
    show_chance(out, "corrupt", model->corrupt);
    fprintf(out, "\n");
}

typedef struct Pair {
    const char *name;
    uint64_t value;
} Pair;

#define PAIRS_MAX       24u

static uint32_t link_pairs(const NetLink *link, Pair pairs[PAIRS_MAX])
{
    uint32_t num = 0;

#define NET_COUNT(field) pairs[num++] = (Pair) { #field, link->counts.field };
    NET_LINK_COUNTS(NET_COUNT)
#undef NET_COUNT
    pairs[num++] = (Pair) { "queued", link->queued };
    pairs[num++] = (Pair) { "under_way", link->under_way };
    return num;
}

static uint32_t port_pairs(const Port *port, Pair pairs[PAIRS_MAX])
{
    const NetPortCounts *counts = &port->bridge->counts;
    uint32_t num = 0;

    pairs[num++] = (Pair) { "connected", port->fd >= 0 };
#define PORT_COUNT(field) pairs[num++] = (Pair) { #field, port->counts.field };
    PORT_COUNTS(PORT_COUNT)
#undef PORT_COUNT
    pairs[num++] = (Pair) { "flooded", counts->flooded };
    pairs[num++] = (Pair) { "filtered", counts->filtered };
    pairs[num++] = (Pair) { "pauses", counts->pauses };
    pairs[num++] = (Pair) { "forgotten", counts->forgotten };
    return num;
}

static uint32_t switch_pairs(const Switch *sw, Pair pairs[PAIRS_MAX])
{
    uint32_t num = 0;

    pairs[num++] = (Pair) { "time_ns", sw->schedule.now };
    pairs[num++] = (Pair) { "seed", sw->seed };
    pairs[num++] = (Pair) { "buffer", sw->bridge->buffer.size };
    pairs[num++] = (Pair) { "buffer_used", sw->bridge->buffer.used };
    pairs[num++] = (Pair) { "wakes", sw->wakes };
    pairs[num++] = (Pair) { "late_mean_ns", sw->wakes ? sw->late_sum / sw->wakes : 0 };
    pairs[num++] = (Pair) { "late_max_ns", sw->late_max };
    return num;
}

/* Those that are not 0. */
static void show_pairs(FILE *out, const Pair *pairs, uint32_t num)
{
    for (uint32_t i = 0; i < num; i++) {
        if (pairs[i].value) {
            fprintf(out, " %s=%" PRIu64, pairs[i].name, pairs[i].value);
        }
    }
    fprintf(out, "\n");
}

void switch_show(Switch *sw, FILE *out)
{
    Pair pairs[PAIRS_MAX];

    fprintf(out, "switch:");
    show_pairs(out, pairs, switch_pairs(sw, pairs));
    for (uint32_t i = 0; i < sw->num_ports; i++) {
        const Port *port = sw->ports[i];
        const NetLink *links[] = { &port->in, &port->bridge->out };

        fprintf(out, "port %s %s:", port->name, port->address);
        show_pairs(out, pairs, port_pairs(port, pairs));
        for (uint32_t d = 0; d < 2; d++) {
            fprintf(out, "  link %s.%s", port->name, d ? "out" : "in");
            show_model(out, &links[d]->model);
            fprintf(out, "   ");
            show_pairs(out, pairs, link_pairs(links[d], pairs));
        }
    }
}

/* ---- JSON ---- */

static void json_pairs(FILE *out, const Pair *pairs, uint32_t num)
{
    for (uint32_t i = 0; i < num; i++) {
        fprintf(out, "%s\"%s\": %" PRIu64, i ? ", " : "", pairs[i].name, pairs[i].value);
    }
}

static void json_string(FILE *out, const char *text)
{
    fputc('"', out);
    for (; *text; text++) {
        if (*text == '"' || *text == '\\' || (unsigned char)*text < ' ') {
            fprintf(out, "\\u%04x", (unsigned char)*text);
        } else {
            fputc(*text, out);
        }
    }
    fputc('"', out);
}

static void json_link(FILE *out, const char *name, const NetLink *link)
{
    static const char *const markings[] = { "off", "red", "step" };
    const NetLinkModel *model = &link->model;
    const Pair settings[] = {
        { "rate", model->rate }, { "delay_ns", model->delay }, { "jitter_ns", model->jitter },
        { "overhead", model->overhead }, { "queue", model->queue }, { "kmin", model->kmin },
        { "kmax", model->kmax }, { "pmax_ppm", model->pmax }, { "loss_ppm", model->loss },
        { "duplicate_ppm", model->duplicate }, { "reorder_ppm", model->reorder },
        { "reorder_delay_ns", model->reorder_delay }, { "corrupt_ppm", model->corrupt },
    };
    Pair pairs[PAIRS_MAX];

    fprintf(out, ", \"%s\": {\"settings\": {\"ecn\": \"%s\", ", name, markings[model->marking]);
    json_pairs(out, settings, sizeof(settings) / sizeof(settings[0]));
    fprintf(out, "}, ");
    json_pairs(out, pairs, link_pairs(link, pairs));
    fprintf(out, "}");
}

void switch_show_json(Switch *sw, FILE *out)
{
    Pair pairs[PAIRS_MAX];

    fprintf(out, "{");
    json_pairs(out, pairs, switch_pairs(sw, pairs));
    fprintf(out, ", \"ports\": {");
    for (uint32_t i = 0; i < sw->num_ports; i++) {
        const Port *port = sw->ports[i];

        fprintf(out, "%s\n\"%s\": {\"address\": ", i ? "," : "", port->name);
        json_string(out, port->address);
        fprintf(out, ", ");
        json_pairs(out, pairs, port_pairs(port, pairs));
        json_link(out, "in", &port->in);
        json_link(out, "out", &port->bridge->out);
        fprintf(out, "}");
    }
    fprintf(out, "}}\n");
}
