/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Threads of a process: what is shared by server.c, which accepts jobs, and thread.c,
 * which does them.
 */
#ifndef SVAN_SERVER_H
#define SVAN_SERVER_H

#include "svan_odp.h"

/* number of threads that a server is made with, and keeps */
#define SVAN_THREADS_MIN	2

struct vhost_task;

/**
 * struct svan_thread - a thread of a process
 * @entry: link in svan_server.threads
 * @idle: link in svan_server.idle while the thread sleeps for lack of jobs
 * @reap: frees the thread after @ended is set
 * @server: the server, with a reference
 * @vtask: handle by which the thread is stopped
 * @task: task of the thread, set in its first turn
 * @job: the job that the thread has lent (svan_thread_lend()), or NULL; protected by
 *	svan_server.lock
 * @waits: the thread is counted in svan_server.waiting
 * @advises: the thread is counted in svan_server.advisers
 * @module: the thread holds a reference to the module while it handles a signal
 * @ended: the thread takes no jobs any more; only the thread itself writes it
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
 * @ref: one reference for all users, one for each thread and each advice
 * @node: link in svan_servers; protected by svan_servers_lock
 * @users: number of regions and verbs contexts of @mm; protected by svan_servers_lock
 * @mm: the mm, held by mm_count
 * @pins: pages that are pinned for a moment
 * @advices: number of calls of ibv_advise_mr() that are not done
 * @advised: number of bytes that these calls are about
 * @lock: protects the fields below
 * @gone: there are no users any more, or the process is dying; no job is accepted
 * @threads: list of struct svan_thread
 * @idle: list of the threads that sleep for lack of jobs, the last to do so first
 * @queues: lists of struct svan_job, by enum svan_queue
 * @count: number of @threads
 * @waiting: number of threads that are allowed to wait for a page
 * @advisers: number of threads among @waiting that follow advice
 * @retry: time in jiffies before which no other thread is made
 */
struct svan_server {
	struct kref ref;
	struct hlist_node node;
	u32 users;
	struct mm_struct *mm;
	struct svan_pins pins;
	atomic_t advices;
	atomic64_t advised;
	spinlock_t lock;		/* protects the fields below */
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
