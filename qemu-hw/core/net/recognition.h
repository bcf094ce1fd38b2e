/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Does a flow, or a path, produce congestion? A state machine over the estimates, with
 * hysteresis (PRM "Enforcement", "Recognition").
 */
#ifndef SVAN_NET_RECOGNITION_H
#define SVAN_NET_RECOGNITION_H

#include <svan/flows.h>

#include "net/estimate.h"

/* What the estimates say at a moment, and what others have said. */
typedef enum SvanSymptom {
    SVAN_SYMPTOM_NONE,
    SVAN_SYMPTOM_AMBIGUOUS,     /* a queue that grows, or CNPs; may have other causes */
    SVAN_SYMPTOM_LOSS,          /* ambiguous, too */
    SVAN_SYMPTOM_CERTAIN,       /* packets are marked */
    SVAN_SYMPTOMS
} SvanSymptom;

#define SVAN_CE_ON      (SVAN_FRACTION_ONE >> 12)       /* marks are a symptom from here on */
#define SVAN_LOSS_ON    (SVAN_FRACTION_ONE / 200)
#define SVAN_RTT_ON     3u                              /* times the least RTT */
#define SVAN_RTT_LOW    1000000u                        /* ns: no queue is seen in less */

/* ns */
typedef struct SvanPatience {
    uint64_t suspect;           /* AMBIGUOUS for so long is congestion; UINT64_MAX: never */
    uint64_t calm;              /* NONE for so long ends it */
    uint64_t recovery;          /* and for so long after that it is forgotten */
} SvanPatience;

static inline bool svan_symptom_is_ambiguous(SvanSymptom symptom)
{
    return symptom == SVAN_SYMPTOM_AMBIGUOUS || symptom == SVAN_SYMPTOM_LOSS;
}

typedef struct SvanRecognition {
    uint8_t state;              /* enum svan_congestion */
    bool acquitted;             /* ambiguous symptoms do not count until they are over */
    uint64_t since;             /* ns: when it was entered */
    uint64_t symptom_at;        /* ns: when there was a symptom last */
    uint64_t losing_since;      /* ns: since when there is loss all the time; 0: there is none */
} SvanRecognition;

SvanSymptom svan_symptom(const SvanFlowEstimate *e);
/*
 * One step. limited: a rate is still set; what is recovering is not forgotten while it is.
 * Has the state changed?
 */
bool svan_recognition_step(SvanRecognition *r, const SvanPatience *patience,
                           SvanSymptom symptom, bool limited, uint64_t now);
/* A verdict from outside on what is SUSPECT; else nothing happens. Has the state changed? */
bool svan_recognition_judge(SvanRecognition *r, bool congesting, uint64_t now);

#endif /* SVAN_NET_RECOGNITION_H */
