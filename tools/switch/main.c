/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * svan-switch: see Documentation/testing/switch.rst.
 */
#include <getopt.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "switch.h"

static const char usage[] =
    "usage: svan-switch [--control PATH] [--file FILE] [--report FILE] STATEMENT...\n"
    "       svan-switch ctl PATH STATEMENT\n"
    "\n"
    "  --control PATH   a Unix socket that takes statements while traffic runs\n"
    "  --file FILE      a file of statements, before those of the command line\n"
    "  --report FILE    what `show json` says, written at the end\n"
    "\n"
    "statements:\n"
    "  port NAME ADDRESS   unix:PATH tcp:HOST:PORT (listen), unix-to: tcp-to: (connect),\n"
    "                      dgram:LOCAL,REMOTE udp:LOCAL,REMOTE, fd:NUMBER,\n"
    "                      ring:PATH (listen), ring-to:PATH (connect): -device svan,wire=PATH\n"
    "  [link] [TARGET] SETTING=VALUE...\n"
    "                      TARGET: all PORT, with .in (to the switch) .out (the default) .both\n"
    "                      settings: rate delay jitter overhead queue ecn loss duplicate\n"
    "                      reorder corrupt\n"
    "  at TIME [TARGET] SETTING=VALUE... [for TIME]\n"
    "  buffer SIZE, seed NUMBER, capture PORT FILE|off, show [json], reset\n"
    "\n"
    "example: svan-switch 'port a unix:/tmp/a' 'port b tcp:127.0.0.1:7001' \\\n"
    "             'rate=10G delay=5us ecn=red:100K:400K:10%' 'at 2s loss 1% for 500ms'\n";

static volatile sig_atomic_t stopped;

static void stop(int signal)
{
    stopped = 1;
}

static int complain(const Error *error)
{
    fprintf(stderr, "svan-switch: %s\n", error->text);
    return 2;
}

/* Words as one line. */
static bool join_words(char **words, char line[STATEMENT_LEN], Error *error)
{
    size_t len = 0;

    line[0] = '\0';
    for (; *words; words++) {
        if (len + strlen(*words) + 2 > STATEMENT_LEN) {
            return error_set(error, "a statement has up to %u characters", STATEMENT_LEN - 2);
        }
        len += sprintf(line + len, "%s%s", len ? " " : "", *words);
    }
    return true;
}

static int call(char **arguments)
{
    char line[STATEMENT_LEN];
    Error error;

    if (!arguments[0] || !arguments[1]) {
        fputs(usage, stderr);
        return 2;
    }
    return join_words(arguments + 1, line, &error) ? control_call(arguments[0], line)
                                                   : complain(&error);
}

static bool execute_all(Switch *sw, char **statements, Error *error)
{
    for (; *statements; statements++) {
        char *alone[] = { *statements, NULL }, line[STATEMENT_LEN];

        if (!join_words(alone, line, error) || !switch_execute(sw, line, stdout, error)) {
            return false;
        }
    }
    return true;
}

static bool write_report(Switch *sw, const char *path, Error *error)
{
    FILE *file = fopen(path, "w");

    if (!file) {
        return error_set(error, "cannot write %.200s", path);
    }
    switch_show_json(sw, file);
    return !fclose(file) || error_set(error, "cannot write %.200s", path);
}

static int run(Switch *sw, const char *report)
{
    struct sigaction action = { .sa_handler = stop };
    sigset_t ending;
    Error error;
    bool written;

    /* they come while the switch waits, at no other time */
    sigemptyset(&ending);
    sigaddset(&ending, SIGTERM);
    sigaddset(&ending, SIGINT);
    sigprocmask(SIG_BLOCK, &ending, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    puts("svan-switch: ready");
    fflush(stdout);
    while (!stopped) {
        switch_step(sw);
    }
    written = !report || write_report(sw, report, &error);
    switch_free(sw);
    return written ? 0 : complain(&error);
}

/*
 * Guests that keep all CPUs busy would delay this process by up to half a second. Where it
 * may not run before them, it does without.
 */
static void be_prompt(void)
{
    struct sched_param first = { .sched_priority = 1 };

    sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &first);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        { "control", required_argument, NULL, 'c' }, { "file", required_argument, NULL, 'f' },
        { "report", required_argument, NULL, 'r' }, { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
    };
    const char *control = NULL, *file = NULL, *report = NULL;
    Switch *sw;
    Error error;
    int option;

    if (argc > 1 && !strcmp(argv[1], "ctl")) {
        return call(argv + 2);
    }
    while ((option = getopt_long(argc, argv, "c:f:r:h", options, NULL)) != -1) {
        switch (option) {
        case 'c': control = optarg; break;
        case 'f': file = optarg; break;
        case 'r': report = optarg; break;
        default: fputs(usage, option == 'h' ? stdout : stderr); return option == 'h' ? 0 : 2;
        }
    }
    be_prompt();
    sw = switch_new(&error);
    if (!sw) {
        return complain(&error);
    }
    if ((file && !switch_execute_file(sw, file, &error)) ||
        !execute_all(sw, argv + optind, &error) ||
        (control && !control_listen(sw, control, &error))) {
        switch_free(sw);
        return complain(&error);
    }
    return run(sw, report);
}
