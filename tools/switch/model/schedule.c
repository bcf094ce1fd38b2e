/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A heap of events, and a calendar of those that need not be in order yet.
 */
#include <stdlib.h>

#include "schedule.h"

#define LOG_DAYS        12
#define DAYS            (1u << LOG_DAYS)
#define PAGE_EVENTS     15u
#define LINE            64      /* octets of the cache's */
#define LINES           3       /* of them, with what an event's argument begins */

/* Events of a day, in no order. */
typedef struct Page {
    struct Page *next;
    uint32_t len;
    NetEvent events[PAGE_EVENTS];
} Page;

/*
 * The days that follow `begin`, in a ring; what comes before is in the heap, and what
 * comes after the last day, too.
 */
struct NetCalendar {
    uint32_t log_day;           /* of the ns of a day */
    uint64_t begin;             /* ns, whole days */
    uint64_t count;             /* events */
    uint64_t used[DAYS / 64];   /* a bit for each day */
    Page *days[DAYS];
    Page *spare;
};

static bool earlier(const NetEvent *a, const NetEvent *b)
{
    if (a->time != b->time) {
        return a->time < b->time;
    }
    if (a->node != b->node) {
        return a->node < b->node;
    }
    if (a->kind != b->kind) {
        return a->kind < b->kind;
    }
    return a->sequence != b->sequence ? a->sequence < b->sequence : a->source < b->source;
}

static bool grow(NetSchedule *schedule)
{
    uint32_t capacity = schedule->capacity ? schedule->capacity * 2 : 256;
    NetEvent *heap = realloc(schedule->heap, capacity * sizeof(*heap));

    if (!heap) {
        return false;
    }
    schedule->heap = heap;
    schedule->capacity = capacity;
    return true;
}

static void heap_put(NetSchedule *schedule, const NetEvent *event)
{
    NetEvent *heap = schedule->heap;
    uint32_t i;

    for (i = schedule->len++; i && earlier(event, &heap[(i - 1) / 2]); i = (i - 1) / 2) {
        heap[i] = heap[(i - 1) / 2];
    }
    heap[i] = *event;
}

/* ---- the calendar ---- */

bool net_schedule_spread(NetSchedule *schedule, uint64_t ahead)
{
    NetCalendar *calendar = calloc(1, sizeof(*calendar));

    if (!calendar) {
        return false;
    }
    while ((uint64_t)DAYS << calendar->log_day < ahead) {
        calendar->log_day++;
    }
    schedule->calendar = calendar;
    return true;
}

static Page *page_take(NetCalendar *calendar)
{
    Page *page = calendar->spare;

    if (page) {
        calendar->spare = page->next;
        return page;
    }
    return malloc(sizeof(*page));
}

static bool calendar_put(NetCalendar *calendar, const NetEvent *event)
{
    uint32_t day = event->time >> calendar->log_day & (DAYS - 1);
    Page *page = calendar->days[day];

    if (!page || page->len == PAGE_EVENTS) {
        page = page_take(calendar);
        if (!page) {
            return false;
        }
        page->next = calendar->days[day];
        page->len = 0;
        calendar->days[day] = page;
        calendar->used[day / 64] |= 1ull << day % 64;
    }
    page->events[page->len++] = *event;
    calendar->count++;
    return true;
}

/* The first day from begin on that has events, as a time; there is one. */
static uint64_t first_day(const NetCalendar *calendar)
{
    uint64_t number = calendar->begin >> calendar->log_day;
    uint32_t day = number & (DAYS - 1), at = day / 64;
    uint64_t word = calendar->used[at] >> day % 64 << day % 64;

    while (!word) {
        at = (at + 1) % (DAYS / 64);
        word = calendar->used[at];
    }
    at = at * 64 + __builtin_ctzll(word);
    return (number + ((at - day) & (DAYS - 1))) << calendar->log_day;
}

/* What happens then, and to whom, is going to be looked at soon. */
static void prefetch(const NetEvent *event)
{
    for (uint32_t i = 0; i < LINES; i++) {
        __builtin_prefetch((const uint8_t *)event->arg + i * LINE, 1);
    }
    if (event->frame) {
        __builtin_prefetch(event->frame, 1);
        __builtin_prefetch((const uint8_t *)event->frame + LINE);
    }
}

/* The events of the first day come into the heap, which has room for all there are. */
static void begin_day(NetSchedule *schedule, uint64_t first)
{
    NetCalendar *calendar = schedule->calendar;
    uint32_t day = first >> calendar->log_day & (DAYS - 1);
    Page *page;

    while ((page = calendar->days[day])) {
        while (page->len) {
            page->len--;
            calendar->count--;
            heap_put(schedule, &page->events[page->len]);
            prefetch(&page->events[page->len]);
        }
        calendar->days[day] = page->next;
        page->next = calendar->spare;
        calendar->spare = page;
    }
    calendar->used[day / 64] &= ~(1ull << day % 64);
    calendar->begin = first + (1ull << calendar->log_day);
}

static uint64_t day_after(const NetCalendar *calendar, uint64_t time)
{
    return ((time >> calendar->log_day) + 1) << calendar->log_day;
}

/* The first event of all comes to the top of the heap. */
static void look_ahead(NetSchedule *schedule)
{
    NetCalendar *calendar = schedule->calendar;

    while (calendar && !(schedule->len && schedule->heap[0].time < calendar->begin)) {
        uint64_t first = calendar->count ? first_day(calendar) : UINT64_MAX;

        if (schedule->len && schedule->heap[0].time < first) {
            calendar->begin = day_after(calendar, schedule->heap[0].time);
            return;
        }
        if (first == UINT64_MAX) {
            return;
        }
        begin_day(schedule, first);
    }
}

bool net_schedule_put(NetSchedule *schedule, const NetEvent *event)
{
    NetCalendar *calendar = schedule->calendar;
    uint64_t count = schedule->len + (calendar ? calendar->count : 0);

    if (count == schedule->capacity && !grow(schedule)) {
        return false;
    }
    if (calendar && event->time >= calendar->begin &&
        event->time - calendar->begin < (uint64_t)DAYS << calendar->log_day) {
        return calendar_put(calendar, event);
    }
    heap_put(schedule, event);
    return true;
}

bool net_schedule_add(NetSchedule *schedule, uint32_t node, NetNode *source, NetEvent event)
{
    event.node = node;
    event.source = source->id;
    event.sequence = source->sequence;
    if (!(schedule->away && schedule->away(schedule->away_arg, &event)) &&
        !net_schedule_put(schedule, &event)) {
        return false;
    }
    source->sequence++;
    return true;
}

uint64_t net_schedule_next(NetSchedule *schedule)
{
    look_ahead(schedule);
    return schedule->len ? schedule->heap[0].time : UINT64_MAX;
}

static NetEvent take_first(NetSchedule *schedule)
{
    NetEvent *heap = schedule->heap, first = heap[0], last = heap[--schedule->len];
    uint32_t i = 0;

    for (;;) {
        uint32_t child = 2 * i + 1;

        if (child + 1 < schedule->len && earlier(&heap[child + 1], &heap[child])) {
            child++;
        }
        if (child >= schedule->len || !earlier(&heap[child], &last)) {
            break;
        }
        heap[i] = heap[child];
        i = child;
    }
    heap[i] = last;
    return first;
}

bool net_schedule_step(NetSchedule *schedule, uint64_t until)
{
    NetEvent event;

    if (net_schedule_next(schedule) > until || !schedule->len) {
        return false;
    }
    event = take_first(schedule);
    schedule->now = event.time;
    event.fn(event.arg, event.frame);
    return true;
}

uint64_t net_schedule_run(NetSchedule *schedule, uint64_t until)
{
    uint64_t count = 0;

    while (net_schedule_step(schedule, until)) {
        count++;
    }
    if (schedule->now < until) {
        schedule->now = until;
    }
    return count;
}

static void pages_free(Page *page)
{
    while (page) {
        Page *next = page->next;

        for (uint32_t i = 0; i < page->len; i++) {
            net_frame_put(page->events[i].frame);
        }
        free(page);
        page = next;
    }
}

void net_schedule_fini(NetSchedule *schedule)
{
    for (uint32_t i = 0; i < schedule->len; i++) {
        net_frame_put(schedule->heap[i].frame);
    }
    for (uint32_t day = 0; schedule->calendar && day < DAYS; day++) {
        pages_free(schedule->calendar->days[day]);
    }
    if (schedule->calendar) {
        pages_free(schedule->calendar->spare);
    }
    free(schedule->calendar);
    free(schedule->heap);
    *schedule = (NetSchedule) { 0 };
}
