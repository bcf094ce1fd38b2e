/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Threads of a process: what server.c, which takes work, and thread.c, which does
 * it, share.
 */
#ifndef SVAN_SERVER_H
#define SVAN_SERVER_H

#include "svan_odp.h"

/* threads of a process from the beginning */
#define SVAN_THREADS_MIN	2

struct vhost_task;

/**
 * struct svan_thread - a thread of a process
 * @entry: in svan_server.threads
 * @idle: in svan_server.idle, if it sleeps for want of work
 * @reap: frees it, after @ended
 * @server: counted
 * @vtask: to stop it
 * @task: itself, from its first turn on
 * @job: that it waits for and that can be taken away; server->lock
 * @waits: it is one of svan_server.waiting
 * @advises: it is one of svan_server.advisers
 * @module: it holds a reference to the module while it handles a signal
 * @ended: it takes no work any more; only the thread itself writes it
 */
struct svan_thread {
	struct list_head entry;
	struct list_head idle;
	struct work_struct reap;
	struct svan_server *server;
	struct vhost_task *vtask;
	struct task_struct *task;
	struct svan_job *job;
	bool waits;
	bool advises;
	bool module;
	bool ended;
};

/**
 * struct svan_server - the threads that serve an mm, and what they have to do
 * @ref: one for its users, one for each thread, one for each advice
 * @node: in svan_servers; svan_servers_lock
 * @users: regions and verbs contexts of the mm; svan_servers_lock
 * @mm: mm_count is held
 * @pins: pages that are held for a moment
 * @advices: calls of ibv_advise_mr() that are not done
 * @advised: their bytes
 * @lock: what follows
 * @gone: it has no users any more, or its process is dying: nothing is added
 * @threads: struct svan_thread
 * @idle: those that sleep for want of work, latest first
 * @queues: struct svan_job, by enum svan_queue
 * @count: of @threads
 * @waiting: how many of them wait or may
 * @advisers: how many of these follow advice
 * @retry: in jiffies; no thread is made before
 */
struct svan_server {
	struct kref ref;
	struct hlist_node node;
	u32 users;
	struct mm_struct *mm;
	struct svan_pins pins;
	atomic_t advices;
	atomic64_t advised;
	spinlock_t lock;		/* what follows */
	bool gone;
	struct list_head threads;
	struct list_head idle;
	struct list_head queues[SVAN_QUEUES];
	u32 count;
	u32 waiting;
	u32 advisers;
	unsigned long retry;
};

/* server.c */
void svan_server_stop(struct svan_server *server);
void svan_server_unref(struct svan_server *server);

/* thread.c */
int svan_thread_create(struct svan_server *server);

#endif /* SVAN_SERVER_H */
