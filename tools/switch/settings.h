/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What people write: numbers with units, and the settings of links.
 */
#ifndef SWITCH_SETTINGS_H
#define SWITCH_SETTINGS_H

#include "model/link.h"

#define ERROR_LEN       256u

/* A sentence for the person. */
typedef struct Error {
    char text[ERROR_LEN];
} Error;

/* Always false. */
bool error_set(Error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Some settings of a link. */
typedef struct LinkChange {
    NetLinkModel values;
    uint32_t mask;              /* which of them: bits of link_settings */
} LinkChange;

/* Plain numbers and their units: each has to be the whole text. */
bool parse_number(const char *text, uint64_t max, uint64_t *value, Error *error);
bool parse_time(const char *text, uint64_t max, uint64_t *ns, Error *error);
bool parse_size(const char *text, uint64_t max, uint64_t *octets, Error *error);

/* Whether a word begins a setting: KEY or KEY=VALUE. */
bool is_setting(const char *word);
/* words: KEY=VALUE, or KEY and VALUE; they are changed. */
bool parse_change(char **words, uint32_t num, LinkChange *change, Error *error);
void change_apply(const LinkChange *change, NetLinkModel *model);
/* The same settings as they are in model. */
LinkChange change_saved(const LinkChange *change, const NetLinkModel *model);

#endif /* SWITCH_SETTINGS_H */
