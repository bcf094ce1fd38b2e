/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What has work, and what waits for the wire.
 */
#include "base/base.h"

void svan_work_stop(SvanWork *work)
{
    svan_list_remove(&work->ready);
    svan_list_remove(&work->blocked);
}
