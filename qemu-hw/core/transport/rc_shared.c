/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory that an RC queue pair has only when it needs it: what the queue pairs of a
 * function share, and what each of them allocates.
 */
#include <stdlib.h>
#include <string.h>

#include "transport/rc.h"

SvanRcShared *svan_rc_shared_make(void)
{
    return calloc(1, sizeof(SvanRcShared));
}

static SvanRcWindow *window_take(SvanRcShared *shared)
{
    SvanRcWindow *window = shared->spare;

    if (window) {
        shared->spare = window->next;
        shared->num_spare--;
    }
    return window;
}

void svan_rc_shared_free(SvanRcShared *shared)
{
    while (shared && shared->spare) {
        free(window_take(shared));
    }
    free(shared);
}

void svan_rc_share(SvanQp *qp)
{
    SvanRcShared *shared = qp->fn->qps->rc;
    uint32_t index = qp->qpn % SVAN_RC_SHARED;
    SvanRc *rc = qp->priv;

    rc->out = &shared->out[index];
    rc->in = &shared->in[index];
    rc->resp.assembly.receive = &shared->receive[index];
}

void svan_rc_forget_decoded(const SvanQp *qp)
{
    SvanRc *rc = qp->priv;
    const SvanAssembly *assembly = &rc->resp.assembly;

    if (rc->out->qp == qp) {
        rc->out->qp = NULL;
    }
    if (rc->in->qp == qp) {
        rc->in->qp = NULL;
    }
    if (assembly->receive->of == assembly) {
        assembly->receive->of = NULL;
    }
}

/* ---- the window ---- */

bool svan_rc_widen(SvanQp *qp)
{
    SvanRcRequester *req = &((SvanRc *)qp->priv)->req;
    SvanRcShared *shared = qp->fn->qps->rc;
    SvanRcWindow *window;

    if (req->window != req->few) {
        return false;
    }
    window = window_take(shared);
    if (!window) {
        window = malloc(sizeof(*window));
    }
    if (!window) {
        return false;
    }
    shared->num_used++;
    for (uint32_t pos = req->head; pos != req->tail; pos++) {
        window->wqes[pos % SVAN_RC_WINDOW] = *svan_rc_wqe(req, pos);
    }
    req->window = window->wqes;
    req->window_mask = SVAN_RC_WINDOW - 1;
    return true;
}

void svan_rc_narrow(SvanQp *qp)
{
    SvanRcRequester *req = &((SvanRc *)qp->priv)->req;
    SvanRcShared *shared = qp->fn->qps->rc;
    SvanRcWindow *window;

    if (req->window == req->few) {
        return;
    }
    window = svan_container(req->window, SvanRcWindow, wqes[0]);
    window->next = shared->spare;
    shared->spare = window;
    shared->num_spare++;
    shared->num_used--;
    while (shared->num_spare > SVAN_RC_SPARE_WINDOWS +
                               SVAN_RC_SPARES_OF_ONE * shared->num_used) {
        free(window_take(shared));
    }
    req->window = req->few;
    req->window_mask = SVAN_RC_FEW - 1;
}

/* ---- answers ---- */

#define FIRST_ROOM      4u

bool svan_rc_owed_room(SvanRcResponder *resp)
{
    uint32_t room = resp->owed_room ? 2 * resp->owed_room : FIRST_ROOM;
    SvanRcOwed *owed;

    if (resp->num_owed < resp->owed_room || resp->owed_room == SVAN_RC_OWED) {
        return true;
    }
    owed = realloc(resp->owed, room * sizeof(owed[0]));
    if (!owed) {
        return false;
    }
    resp->owed = owed;
    resp->owed_room = room;
    return true;
}

bool svan_rc_atomics_room(SvanRcResponder *resp)
{
    if (!resp->atomics) {
        resp->atomics = calloc(SVAN_MAX_RD_ATOMIC, sizeof(resp->atomics[0]));
    }
    return resp->atomics;
}

void svan_rc_release(SvanQp *qp)
{
    SvanRc *rc = qp->priv;

    svan_rc_forget_decoded(qp);
    svan_rc_narrow(qp);
    svan_page_wait_forget(&rc->req.wait);
    svan_page_wait_forget(&rc->req.in_wait);
    svan_page_wait_forget(&rc->resp.read_wait);
    svan_page_wait_forget(&rc->suspension.wait);
    free(rc->resp.owed);
    free(rc->resp.atomics);
    rc->resp.owed = NULL;
    rc->resp.owed_room = 0;
    rc->resp.atomics = NULL;
}
