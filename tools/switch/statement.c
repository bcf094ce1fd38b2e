/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Statements: of the command line, of a file, of the control socket, and in time.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "switch.h"

#define COURSE_MAX      86400000000000ull       /* ns: a day */

typedef struct Words {
    char *at[STATEMENT_WORDS];
    uint32_t num;
} Words;

static bool split(char *line, Words *words, Error *error)
{
    char *save;

    line[strcspn(line, "#")] = '\0';
    words->num = 0;
    for (char *word = strtok_r(line, " \t\r\n", &save); word;
         word = strtok_r(NULL, " \t\r\n", &save)) {
        if (words->num == STATEMENT_WORDS) {
            return error_set(error, "a statement has up to %u words", STATEMENT_WORDS);
        }
        words->at[words->num++] = word;
    }
    return true;
}

static Port *find_port(Switch *sw, const char *name)
{
    for (uint32_t i = 0; i < sw->num_ports; i++) {
        if (!strcmp(sw->ports[i]->name, name)) {
            return sw->ports[i];
        }
    }
    return NULL;
}

/* ---- ports ---- */

static bool is_name(const char *name)
{
    size_t len = strlen(name);

    for (size_t i = 0; i < len; i++) {
        if (!isalnum((unsigned char)name[i]) && name[i] != '-' && name[i] != '_') {
            return false;
        }
    }
    return len && len < PORT_NAME_LEN && strcmp(name, "all") && strcmp(name, "in") &&
           strcmp(name, "out") && !is_setting(name);
}

static bool do_port(Switch *sw, Words *words, FILE *out, Error *error)
{
    Port *port;

    if (words->num != 3) {
        return error_set(error, "say: port NAME ADDRESS");
    }
    if (!is_name(words->at[1]) || find_port(sw, words->at[1])) {
        return error_set(error, "%.40s: a port's name is its own, of 1 to %u letters, digits, - "
                         "and _, and no other word of statements", words->at[1],
                         PORT_NAME_LEN - 1);
    }
    if (sw->num_ports == SWITCH_PORTS) {
        return error_set(error, "there are %u ports, which is the most", SWITCH_PORTS);
    }
    port = port_new(sw, sw->num_ports, words->at[1], words->at[2], error);
    if (port) {
        sw->ports[sw->num_ports++] = port;
    }
    return port;
}

static bool before_ports(const Switch *sw, const char *what, Error *error)
{
    return !sw->num_ports || error_set(error, "%s is set before the first port", what);
}

static bool do_seed(Switch *sw, Words *words, FILE *out, Error *error)
{
    if (words->num != 2) {
        return error_set(error, "say: seed NUMBER");
    }
    if (!before_ports(sw, "the seed", error) ||
        !parse_number(words->at[1], UINT64_MAX, &sw->seed, error)) {
        return false;
    }
    for (uint32_t i = 0; i < SWITCH_PORTS; i++) {
        sw->bridge->ports[i].out.key = net_link_key(sw->seed, sw->bridge->node.id, i);
    }
    return true;
}

static bool do_buffer(Switch *sw, Words *words, FILE *out, Error *error)
{
    if (words->num != 2) {
        return error_set(error, "say: buffer SIZE");
    }
    if (!parse_size(words->at[1], NET_BYTES_MAX, &sw->buffer, error)) {
        return false;
    }
    if (sw->buffer < 2 * NET_FRAME_MAX) {
        return error_set(error, "a buffer has 128K or more, for two of the longest frames");
    }
    sw->bridge->buffer.size = sw->buffer;
    return true;
}

static uint64_t epoch_of(const Switch *sw)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec * 1000000000ull + now.tv_nsec - sw->schedule.now;
}

static bool do_capture(Switch *sw, Words *words, FILE *out, Error *error)
{
    Port *port = words->num == 3 ? find_port(sw, words->at[1]) : NULL;
    Capture *capture = NULL;

    if (!port) {
        return error_set(error, "say: capture PORT FILE, or: capture PORT off");
    }
    if (strcmp(words->at[2], "off")) {
        capture = capture_open(words->at[2], port->name, epoch_of(sw), error);
        if (!capture) {
            return false;
        }
    }
    capture_close(port->capture);
    port->capture = capture;
    return true;
}

/* ---- links ---- */

/* all, in, out, PORT, PORT.in, PORT.out; without a direction the outgoing ones. */
static bool find_links(Switch *sw, char *text, Change *change, Error *error)
{
    char *dot = strchr(text, '.');
    const char *direction = dot ? dot + 1 : "out";
    uint64_t ports;

    if (dot) {
        *dot = '\0';
    }
    if (!strcmp(text, "in") || !strcmp(text, "out")) {
        direction = text;
        text = "all";
    }
    if (strcmp(text, "all")) {
        Port *port = find_port(sw, text);

        if (!port) {
            return error_set(error, "there is no port %.40s", text);
        }
        ports = 1ull << port->number;
    } else {
        ports = sw->num_ports == 64 ? UINT64_MAX : (1ull << sw->num_ports) - 1;
    }
    if (strcmp(direction, "in") && strcmp(direction, "out") && strcmp(direction, "both")) {
        return error_set(error, "%.40s is no direction: in goes to the switch, out comes from "
                         "it, both is both", direction);
    }
    change->links = strcmp(direction, "in") ? ports : 0;
    change->in_links = strcmp(direction, "out") ? ports : 0;
    return true;
}

/* [link] [TARGET] SETTINGS */
static bool parse_link(Switch *sw, char **words, uint32_t num, Change *change, Error *error)
{
    char all[] = "all", *target = all;

    if (num && !strcmp(words[0], "link")) {
        words++;
        num--;
    }
    if (num && !is_setting(words[0])) {
        target = words[0];
        words++;
        num--;
    }
    return find_links(sw, target, change, error) &&
           parse_change(words, num, &change->change, error);
}

typedef void LinkFn(Change *change, NetLink *link, uint32_t which);

static void for_links(Change *change, LinkFn *fn)
{
    Switch *sw = change->owner;

    for (uint32_t i = 0; i < sw->num_ports; i++) {
        if (change->links >> i & 1) {
            fn(change, &sw->ports[i]->bridge->out, 2 * i);
        }
        if (change->in_links >> i & 1) {
            fn(change, &sw->ports[i]->in, 2 * i + 1);
        }
    }
}

static void apply(Change *change, NetLink *link, uint32_t which)
{
    change->saved[which] = change_saved(&change->change, &link->model);
    change_apply(&change->change, &link->model);
}

static void undo(Change *change, NetLink *link, uint32_t which)
{
    change_apply(&change->saved[which], &link->model);
}

/* ---- the course ---- */

static void end_change(void *arg, NetFrame *none)
{
    Change *change = arg;

    for_links(change, undo);
    change->used = false;
}

static bool add_event(Switch *sw, uint64_t delay, NetEventFn *fn, Change *change)
{
    NetEvent event = { .time = sw->schedule.now + delay, .kind = NET_EVENT_USER, .fn = fn,
                       .arg = change };

    return net_schedule_add(&sw->schedule, sw->bridge->node.id, &sw->bridge->node, event);
}

static void start_change(void *arg, NetFrame *none)
{
    Change *change = arg;

    for_links(change, apply);
    if (!change->length || !add_event(change->owner, change->length, end_change, change)) {
        change->used = false;
    }
}

static Change *new_change(Switch *sw, Error *error)
{
    for (uint32_t i = 0; i < SWITCH_COURSE; i++) {
        if (!sw->course[i].used) {
            sw->course[i] = (Change) { .owner = sw };
            return &sw->course[i];
        }
    }
    error_set(error, "%u changes are still to come, which is the most", SWITCH_COURSE);
    return NULL;
}

/* LINK-STATEMENT [for TIME], after a delay */
static bool change_links(Switch *sw, Words *words, uint32_t first, uint64_t delay, Error *error)
{
    Change *change = new_change(sw, error);
    uint32_t num = words->num;

    if (!change) {
        return false;
    }
    if (num >= first + 2 && !strcmp(words->at[num - 2], "for")) {
        if (!parse_time(words->at[num - 1], COURSE_MAX, &change->length, error)) {
            return false;
        }
        if (!change->length) {
            return error_set(error, "for needs a time, for example 500ms");
        }
        num -= 2;
    }
    if (!parse_link(sw, words->at + first, num - first, change, error)) {
        return false;
    }
    change->used = true;
    if (!delay) {
        start_change(change, NULL);
    } else if (!add_event(sw, delay, start_change, change)) {
        change->used = false;
        return error_set(error, "no memory");
    }
    return true;
}

static bool do_link(Switch *sw, Words *words, FILE *out, Error *error)
{
    return change_links(sw, words, 0, 0, error);
}

/* at TIME LINK-STATEMENT [for TIME] */
static bool do_at(Switch *sw, Words *words, FILE *out, Error *error)
{
    uint64_t delay;

    if (words->num < 3) {
        return error_set(error, "say for example: at 2s loss 1%% for 500ms");
    }
    return parse_time(words->at[1], COURSE_MAX, &delay, error) &&
           change_links(sw, words, 2, delay, error);
}

/* ---- looking ---- */

static bool do_show(Switch *sw, Words *words, FILE *out, Error *error)
{
    if (words->num == 2 && !strcmp(words->at[1], "json")) {
        switch_show_json(sw, out);
    } else if (words->num == 1) {
        switch_show(sw, out);
    } else {
        return error_set(error, "say: show, or: show json");
    }
    for (uint32_t i = 0; i < sw->num_ports; i++) {
        if (sw->ports[i]->capture) {
            capture_flush(sw->ports[i]->capture);
        }
    }
    return true;
}

static bool do_reset(Switch *sw, Words *words, FILE *out, Error *error)
{
    if (words->num != 1) {
        return error_set(error, "reset takes nothing: it sets all counters to 0");
    }
    for (uint32_t i = 0; i < sw->num_ports; i++) {
        Port *port = sw->ports[i];

        port->in.counts = port->bridge->out.counts = (NetLinkCounts) { 0 };
        port->bridge->counts = (NetPortCounts) { 0 };
        port->counts = (PortCounts) { 0 };
    }
    sw->wakes = sw->late_sum = sw->late_max = 0;
    return true;
}

/* Whether a word is the target or the first setting of a statement about links. */
static bool begins_link(Switch *sw, const char *word)
{
    static const char *const all[] = { "all", "in", "out" };
    size_t len = strcspn(word, ".");

    for (uint32_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        if (strlen(all[i]) == len && !strncmp(word, all[i], len)) {
            return true;
        }
    }
    for (uint32_t i = 0; i < sw->num_ports; i++) {
        const char *name = sw->ports[i]->name;

        if (strlen(name) == len && !strncmp(word, name, len)) {
            return true;
        }
    }
    return is_setting(word);
}

static const struct {
    const char *name;
    bool (*run)(Switch *sw, Words *words, FILE *out, Error *error);
} statements[] = {
    { "port", do_port },
    { "link", do_link },
    { "at", do_at },
    { "seed", do_seed },
    { "buffer", do_buffer },
    { "capture", do_capture },
    { "show", do_show },
    { "reset", do_reset },
};

bool switch_execute(Switch *sw, char *line, FILE *out, Error *error)
{
    Words words;

    if (!split(line, &words, error)) {
        return false;
    }
    if (!words.num) {
        return true;
    }
    for (uint32_t i = 0; i < sizeof(statements) / sizeof(statements[0]); i++) {
        if (!strcmp(words.at[0], statements[i].name)) {
            return statements[i].run(sw, &words, out, error);
        }
    }
    if (begins_link(sw, words.at[0]) || (words.num > 1 && is_setting(words.at[1]))) {
        return do_link(sw, &words, out, error);
    }
    return error_set(error, "%.40s is no statement: there are port, link, at, seed, buffer, "
                     "capture, show, reset, and settings of links", words.at[0]);
}

bool switch_execute_file(Switch *sw, const char *path, Error *error)
{
    FILE *file = fopen(path, "r");
    char line[STATEMENT_LEN];
    Error why;

    if (!file) {
        return error_set(error, "cannot read %.150s: %s", path, strerror(errno));
    }
    for (uint32_t number = 1; fgets(line, sizeof(line), file); number++) {
        if (!switch_execute(sw, line, stdout, &why)) {
            fclose(file);
            return error_set(error, "%.60s:%u: %.180s", path, number, why.text);
        }
    }
    fclose(file);
    return true;
}
