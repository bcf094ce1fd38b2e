/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Intrusive, circular, doubly linked lists.
 */
#include "core.h"

void svan_list_init(SvanLink *head)
{
    head->next = head;
    head->prev = head;
}

bool svan_list_empty(const SvanLink *head)
{
    return head->next == head;
}

void svan_list_append(SvanLink *head, SvanLink *link)
{
    if (link->next) {
        return;
    }
    link->next = head;
    link->prev = head->prev;
    head->prev->next = link;
    head->prev = link;
}

void svan_list_remove(SvanLink *link)
{
    if (!link->next) {
        return;
    }
    link->prev->next = link->next;
    link->next->prev = link->prev;
    link->next = NULL;
    link->prev = NULL;
}
