/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sections of the state stream that belong to a function (state_fn.c, state_queue.c).
 * A loader finds the function as after a reset, and what the sections before it have
 * created.
 */
#ifndef SVAN_STATE_H
#define SVAN_STATE_H

#include "device/device.h"

void svan_save_registers(SvanFn *fn, SvanWriter *writer);
bool svan_load_registers(SvanFn *fn, SvanReader *reader);
void svan_save_tables(SvanFn *fn, SvanWriter *writer);
bool svan_load_tables(SvanFn *fn, SvanReader *reader);
void svan_save_uars(SvanFn *fn, SvanWriter *writer);
bool svan_load_uars(SvanFn *fn, SvanReader *reader);
void svan_save_contexts(SvanFn *fn, SvanWriter *writer);
bool svan_load_contexts(SvanFn *fn, SvanReader *reader);
void svan_save_keys(SvanFn *fn, SvanWriter *writer);
bool svan_load_keys(SvanFn *fn, SvanReader *reader);
void svan_save_eqs(SvanFn *fn, SvanWriter *writer);
bool svan_load_eqs(SvanFn *fn, SvanReader *reader);
void svan_save_cqs(SvanFn *fn, SvanWriter *writer);
bool svan_load_cqs(SvanFn *fn, SvanReader *reader);
void svan_save_counters(SvanFn *fn, SvanWriter *writer);
bool svan_load_counters(SvanFn *fn, SvanReader *reader);
void svan_save_qps(SvanFn *fn, SvanWriter *writer);
bool svan_load_qps(SvanFn *fn, SvanReader *reader);
void svan_save_vport(SvanFn *fn, SvanWriter *writer);
bool svan_load_vport(SvanFn *fn, SvanReader *reader);
void svan_save_enforcement(SvanFn *fn, SvanWriter *writer);
bool svan_load_enforcement(SvanFn *fn, SvanReader *reader);
void svan_save_net(SvanFn *fn, SvanWriter *writer);
bool svan_load_net(SvanFn *fn, SvanReader *reader);
void svan_save_stats(SvanFn *fn, SvanWriter *writer);
bool svan_load_stats(SvanFn *fn, SvanReader *reader);

/*
 * Whose events these are: those of a queue, or the function's own. NULL: no object
 * has all of these types, or there is no such queue.
 */
SvanEvents *svan_events_of(SvanFn *fn, uint64_t types, uint32_t qn);
/* Load events that wait. false: no object has all of these types, or it has events. */
bool svan_events_restore(SvanFn *fn, uint32_t qn, uint64_t types,
                         uint32_t syndrome);

#endif /* SVAN_STATE_H */
