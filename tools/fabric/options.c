/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The command line.
 */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "options.h"

#define LINK_WORDS      16u

const char *const fabric_patterns[FABRIC_PATTERNS] = {
    [FABRIC_PERMUTATION] = "permutation",
    [FABRIC_INCAST] = "incast",
    [FABRIC_STORAGE] = "storage",
};

/* Ethernet's preamble, FCS and gap are 24 octets. */
const FabricOptions fabric_defaults = {
    .hosts = 1000, .pattern = FABRIC_PERMUTATION, .packets = 1000000, .log_mtu = 10,
    .message = 64 << 10, .depth = 4, .fan_in = 16, .cheat = 1,
    .link = {
        .rate = 100000000000ull, .delay = 1000, .overhead = 24,
        .marking = NET_MARK_RED, .kmin = 100 << 10, .kmax = 400 << 10, .pmax = 100000,
    },
    .buffer = 16 << 20, .dcqcn = true, .timeout = 10, .seed = 1, .check = 64,
    .until = 10000000000ull,
};

static const char help[] =
"svan-fabric: a fat tree whose hosts are Svan's device cores, in virtual time\n"
"\n"
"  --hosts N          16 to 16384 (1000)\n"
"  --pattern NAME     permutation, incast or storage (permutation)\n"
"  --fan-in N         hosts that send to one: of incast, and of storage (16)\n"
"  --cheat N          flows that one of them has in each incast, in place of one (1)\n"
"  --packets N        data packets in all, at least (1000000)\n"
"  --mtu OCTETS       256, 512, 1024, 2048 or 4096 (1024)\n"
"  --message SIZE     of a work request, up to 1M (64K)\n"
"  --depth N          work requests that a flow has outstanding, up to 64 (4)\n"
"  --link 'SETTINGS'  of all links, as of svan-switch: rate, delay, queue, ecn, loss ...\n"
"                     ('rate=100G delay=1us overhead=24 ecn=red:100K:400K:10%')\n"
"  --buffer SIZE      of a switch, shared by its ports; 0: no bound (16M)\n"
"  --dcqcn on|off     whether the devices control congestion (on)\n"
"  --enforce on|off   whether they police paths that congest (off)\n"
"  --timeout CODE     of queue pairs: 4.096 us times 2^CODE, 5 to 20 (10)\n"
"  --seed N           of all that is random (1)\n"
"  --until TIME       of virtual time (10s)\n"
"  --for TIME         flows go on until then, whatever --packets says\n"
"  --check N          one packet in N is compared octet by octet (64)\n"
"  --json FILE        the results; - is standard output\n"
"  --flows FILE       a line of CSV for each flow\n"
"  --cost FILE        time and memory that it took, as JSON\n"
"  --quiet            no progress\n"
"\n"
"mpirun -n 2 svan-fabric ... divides the pods among two processes; results are the same\n"
"to the octet, whatever their number. Documentation/testing/fabric.rst says more.\n";

enum { OPT_FIRST = 256 };

enum {
    OPT_HOSTS = OPT_FIRST, OPT_PATTERN, OPT_FAN_IN, OPT_PACKETS, OPT_MTU, OPT_MESSAGE,
    OPT_DEPTH, OPT_LINK, OPT_BUFFER, OPT_DCQCN, OPT_TIMEOUT, OPT_SEED, OPT_UNTIL, OPT_CHECK,
    OPT_CHEAT, OPT_ENFORCE, OPT_FOR,
    OPT_JSON, OPT_FLOWS, OPT_COST, OPT_QUIET, OPT_HELP,
};

static const struct option names[] = {
    { "hosts", 1, NULL, OPT_HOSTS }, { "pattern", 1, NULL, OPT_PATTERN },
    { "fan-in", 1, NULL, OPT_FAN_IN }, { "packets", 1, NULL, OPT_PACKETS },
    { "mtu", 1, NULL, OPT_MTU }, { "message", 1, NULL, OPT_MESSAGE },
    { "depth", 1, NULL, OPT_DEPTH }, { "link", 1, NULL, OPT_LINK },
    { "buffer", 1, NULL, OPT_BUFFER }, { "dcqcn", 1, NULL, OPT_DCQCN },
    { "timeout", 1, NULL, OPT_TIMEOUT },
    { "seed", 1, NULL, OPT_SEED }, { "until", 1, NULL, OPT_UNTIL },
    { "check", 1, NULL, OPT_CHECK }, { "json", 1, NULL, OPT_JSON },
    { "flows", 1, NULL, OPT_FLOWS }, { "cost", 1, NULL, OPT_COST },
    { "cheat", 1, NULL, OPT_CHEAT }, { "enforce", 1, NULL, OPT_ENFORCE },
    { "for", 1, NULL, OPT_FOR }, { "quiet", 0, NULL, OPT_QUIET },
    { "help", 0, NULL, OPT_HELP }, { NULL, 0, NULL, 0 },
};

/* ---- values ---- */

static bool number(const char *text, uint64_t min, uint64_t max, uint32_t *value, Error *error)
{
    uint64_t wide;

    if (!parse_number(text, max, &wide, error)) {
        return false;
    }
    *value = wide;
    return wide >= min || error_set(error, "%.40s is less than %llu", text,
                                    (unsigned long long)min);
}

static bool set_pattern(FabricOptions *options, const char *text, Error *error)
{
    for (uint32_t i = 0; i < FABRIC_PATTERNS; i++) {
        if (!strcmp(text, fabric_patterns[i])) {
            options->pattern = i;
            return true;
        }
    }
    return error_set(error, "%.40s is no pattern: there are permutation, incast and storage",
                     text);
}

static bool set_mtu(FabricOptions *options, const char *text, Error *error)
{
    uint64_t value;

    if (!parse_number(text, 4096, &value, error)) {
        return false;
    }
    for (options->log_mtu = 8; options->log_mtu <= 12; options->log_mtu++) {
        if (value == 1u << options->log_mtu) {
            return true;
        }
    }
    return error_set(error, "%.40s is no MTU of RoCE: there are 256, 512, 1024, 2048, 4096",
                     text);
}

static bool set_message(FabricOptions *options, const char *text, Error *error)
{
    uint64_t value;

    if (!parse_size(text, FABRIC_MESSAGE_MAX, &value, error)) {
        return false;
    }
    options->message = value;
    return value >= 64 || error_set(error, "%.40s is less than 64 octets", text);
}

static bool set_switch(bool *on, const char *text, Error *error)
{
    *on = !strcmp(text, "on");
    return *on || !strcmp(text, "off") ||
           error_set(error, "%.40s is neither on nor off", text);
}

static bool set_link(FabricOptions *options, const char *text, Error *error)
{
    char line[256], *words[LINK_WORDS], *save;
    LinkChange change;
    uint32_t num = 0;

    if (strlen(text) >= sizeof(line)) {
        return error_set(error, "that is too long");
    }
    strcpy(line, text);
    for (char *word = strtok_r(line, " ", &save); word && num < LINK_WORDS;
         word = strtok_r(NULL, " ", &save)) {
        words[num++] = word;
    }
    if (!parse_change(words, num, &change, error)) {
        return false;
    }
    change_apply(&change, &options->link);
    if (!options->link.rate) {
        return error_set(error, "the links of a fabric have a rate, for example rate=100G");
    }
    return options->link.delay >= 100 ||
           error_set(error, "the links of a fabric have a delay of 100ns at least: the delay "
                     "between pods is how far processes may be apart");
}

static bool set(FabricOptions *options, int which, const char *text, Error *error)
{
    switch (which) {
    case OPT_HOSTS:
        return number(text, 16, FABRIC_HOSTS_MAX, &options->hosts, error);
    case OPT_PATTERN:
        return set_pattern(options, text, error);
    case OPT_FAN_IN:
        return number(text, 1, 4096, &options->fan_in, error);
    case OPT_PACKETS:
        return parse_number(text, 1000000000000ull, &options->packets, error) &&
               (options->packets || error_set(error, "there has to be one at least"));
    case OPT_MTU:
        return set_mtu(options, text, error);
    case OPT_MESSAGE:
        return set_message(options, text, error);
    case OPT_DEPTH:
        return number(text, 1, FABRIC_DEPTH_MAX, &options->depth, error);
    case OPT_LINK:
        return set_link(options, text, error);
    case OPT_BUFFER:
        return parse_size(text, 1ull << 40, &options->buffer, error);
    case OPT_CHEAT:
        return number(text, 1, 256, &options->cheat, error);
    case OPT_ENFORCE:
        return set_switch(&options->enforce, text, error);
    case OPT_FOR:
        options->endless = true;
        return parse_time(text, 1000000000000ull, &options->until, error);
    case OPT_DCQCN:
        return set_switch(&options->dcqcn, text, error);
    case OPT_TIMEOUT:
        return number(text, 5, 20, &options->timeout, error);
    case OPT_SEED:
        return parse_number(text, UINT64_MAX, &options->seed, error);
    case OPT_UNTIL:
        return parse_time(text, 1000000000000ull, &options->until, error);
    case OPT_CHECK:
        return number(text, 1, UINT32_MAX, &options->check, error);
    case OPT_JSON:
        options->json = text;
        return true;
    case OPT_FLOWS:
        options->flows = text;
        return true;
    case OPT_COST:
        options->cost = text;
        return true;
    default:
        options->quiet = true;
        return true;
    }
}

static bool is_possible(const FabricOptions *options, Error *error)
{
    if (options->pattern != FABRIC_PERMUTATION && options->fan_in >= options->hosts) {
        return error_set(error, "--fan-in: %u hosts cannot send to one of %u", options->fan_in,
                         options->hosts);
    }
    if (options->cheat > 1 && options->pattern != FABRIC_INCAST) {
        return error_set(error, "--cheat: there are cheats in --pattern incast only");
    }
    return true;
}

FabricAsked fabric_options(int argc, char **argv, FabricOptions *options, Error *error)
{
    int which, index;

    *options = fabric_defaults;
    opterr = 0;
    optind = 1;
    while ((which = getopt_long(argc, argv, "h", names, &index)) != -1) {
        Error why;

        if (which == 'h' || which == OPT_HELP) {
            fputs(help, stdout);
            return FABRIC_HELP;
        }
        if (which == '?') {
            error_set(error, "%.80s is no option, or has no value: --help lists them",
                      argv[optind - 1]);
            return FABRIC_WRONG;
        }
        if (!set(options, which, optarg, &why)) {
            error_set(error, "--%s: %.200s", names[index].name, why.text);
            return FABRIC_WRONG;
        }
    }
    if (optind < argc) {
        error_set(error, "%.80s is no option: --help lists them", argv[optind]);
        return FABRIC_WRONG;
    }
    return is_possible(options, error) ? FABRIC_RUN : FABRIC_WRONG;
}
