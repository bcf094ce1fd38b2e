/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The states of recognition: a step for each, and a table of them.
 */
#include "net/recognition.h"

SvanSymptom svan_symptom(const SvanFlowEstimate *e)
{
    if (e->ce >= SVAN_CE_ON) {
        return SVAN_SYMPTOM_CERTAIN;
    }
    if (e->loss >= SVAN_LOSS_ON) {
        return SVAN_SYMPTOM_LOSS;
    }
    if (e->cnp_rate ||
        (e->rtt >= SVAN_RTT_LOW && e->rtt > e->rtt_min * SVAN_RTT_ON && e->rtt_gradient > 0)) {
        return SVAN_SYMPTOM_AMBIGUOUS;
    }
    return SVAN_SYMPTOM_NONE;
}

/* What a step knows. */
typedef struct Moment {
    const SvanPatience *patience;
    SvanSymptom symptom;
    bool limited;
    uint64_t quiet;             /* ns without a symptom */
    uint64_t lasted;            /* ns in this state */
    uint64_t losing;            /* ns with losses all the time, and no certain symptom */
} Moment;

static uint8_t from_clear(const Moment *moment)
{
    return moment->symptom == SVAN_SYMPTOM_CERTAIN ? SVAN_CONGESTION_CONGESTING :
           svan_symptom_is_ambiguous(moment->symptom) ? SVAN_CONGESTION_SUSPECT :
                                                        SVAN_CONGESTION_CLEAR;
}

static uint8_t from_suspect(const Moment *moment)
{
    if (moment->symptom == SVAN_SYMPTOM_CERTAIN ||
        (svan_symptom_is_ambiguous(moment->symptom) &&
         moment->lasted >= moment->patience->suspect)) {
        return SVAN_CONGESTION_CONGESTING;
    }
    return moment->quiet >= moment->patience->calm ? SVAN_CONGESTION_CLEAR :
                                                     SVAN_CONGESTION_SUSPECT;
}

static uint8_t from_congesting(const Moment *moment)
{
    return moment->quiet >= moment->patience->calm ? SVAN_CONGESTION_RECOVERING :
                                                     SVAN_CONGESTION_CONGESTING;
}

static uint8_t from_recovering(const Moment *moment)
{
    if (moment->symptom == SVAN_SYMPTOM_CERTAIN) {
        return SVAN_CONGESTION_CONGESTING;
    }
    if (moment->losing >= moment->patience->calm) {
        return SVAN_CONGESTION_SUSPECT;
    }
    return !moment->limited && moment->quiet >= moment->patience->recovery ?
           SVAN_CONGESTION_CLEAR : SVAN_CONGESTION_RECOVERING;
}

static uint8_t (*const steps[])(const Moment *moment) = {
    [SVAN_CONGESTION_CLEAR]         = from_clear,
    [SVAN_CONGESTION_SUSPECT]       = from_suspect,
    [SVAN_CONGESTION_CONGESTING]    = from_congesting,
    [SVAN_CONGESTION_RECOVERING]    = from_recovering,
};

static bool enter(SvanRecognition *r, uint8_t state, uint64_t now)
{
    if (state == r->state) {
        return false;
    }
    r->state = state;
    r->since = now;
    return true;
}

bool svan_recognition_step(SvanRecognition *r, const SvanPatience *patience,
                           SvanSymptom symptom, bool limited, uint64_t now)
{
    Moment moment = {
        .patience = patience, .symptom = symptom, .limited = limited,
        .lasted = now - r->since,
    };

    if (symptom != SVAN_SYMPTOM_NONE) {
        r->symptom_at = now;
    }
    moment.quiet = now - r->symptom_at;
    r->acquitted = r->acquitted && moment.quiet < patience->calm;
    if (r->acquitted && svan_symptom_is_ambiguous(symptom)) {
        moment.symptom = SVAN_SYMPTOM_NONE;
    }
    if (moment.symptom != SVAN_SYMPTOM_LOSS) {
        r->losing_since = 0;
    } else if (!r->losing_since) {
        r->losing_since = now ? now : 1;
    }
    moment.losing = r->losing_since ? now - r->losing_since : 0;
    return enter(r, steps[r->state](&moment), now);
}

bool svan_recognition_judge(SvanRecognition *r, bool congesting, uint64_t now)
{
    if (r->state != SVAN_CONGESTION_SUSPECT) {
        return false;
    }
    r->acquitted = !congesting;
    return enter(r, congesting ? SVAN_CONGESTION_CONGESTING : SVAN_CONGESTION_CLEAR, now);
}
