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

static SvanRcWindow *spare_take(SvanRcWindows *windows)
{
    SvanRcWindow *window = windows->spare;

    if (window) {
        windows->spare = window->next;
        windows->num_spare--;
    }
    return window;
}

static void spares_free(SvanRcWindows *windows, uint32_t kept)
{
    while (windows->num_spare > kept) {
        free(spare_take(windows));
    }
}

void svan_rc_shared_free(SvanRcShared *shared)
{
    if (shared) {
        spares_free(&shared->some, 0);
        spares_free(&shared->full, 0);
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
    rc->resp.assembly.receive = qp->share ? &qp->share->taken : &shared->receive[index];
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
    if (!qp->share && assembly->receive->of == assembly) {
        assembly->receive->of = NULL;
    }
}

/* ---- the window ---- */

/* Those that the window of this size is one of; NULL: it is `few`. */
static SvanRcWindows *windows_of(const SvanQp *qp, uint32_t size)
{
    SvanRcShared *shared = qp->fn->qps->rc;

    if (size == SVAN_RC_FEW) {
        return NULL;
    }
    return size == SVAN_RC_SOME ? &shared->some : &shared->full;
}

static void window_return(const SvanQp *qp, SvanRcWqe *wqes, uint32_t size)
{
    SvanRcWindows *windows = windows_of(qp, size);
    SvanRcWindow *window;

    if (!windows) {
        return;
    }
    window = svan_container(wqes, SvanRcWindow, first);
    window->next = windows->spare;
    windows->spare = window;
    windows->num_spare++;
    windows->num_used--;
    spares_free(windows, SVAN_RC_SPARE_WINDOWS +
                         SVAN_RC_SPARES_OF_ONE * windows->num_used);
}

bool svan_rc_widen(SvanQp *qp)
{
    SvanRcRequester *req = &((SvanRc *)qp->priv)->req;
    uint32_t old = req->window_mask + 1;
    uint32_t size = old == SVAN_RC_FEW ? SVAN_RC_SOME : SVAN_RC_WINDOW;
    SvanRcWindows *windows = windows_of(qp, size);
    SvanRcWindow *window;
    SvanRcWqe *wqes;

    if (old == SVAN_RC_WINDOW) {
        return false;
    }
    window = spare_take(windows);
    if (!window) {
        window = malloc(size * sizeof(window->first));
    }
    if (!window) {
        return false;
    }
    windows->num_used++;
    wqes = &window->first;
    for (uint32_t pos = req->head; pos != req->tail; pos++) {
        wqes[pos % size] = *svan_rc_wqe(req, pos);
    }
    window_return(qp, req->window, old);
    req->window = wqes;
    req->window_mask = size - 1;
    return true;
}

void svan_rc_narrow(SvanQp *qp)
{
    SvanRcRequester *req = &((SvanRc *)qp->priv)->req;

    window_return(qp, req->window, req->window_mask + 1);
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
