// SPDX-License-Identifier: GPL-2.0-only
/* A thread of a process: its life, what it takes, and how it waits (server.c). */

#include <linux/module.h>
#include <linux/sched/signal.h>
#include <linux/sched/vhost_task.h>
#include <linux/slab.h>
#include <uapi/linux/sched/types.h>

#include "server.h"

/* threads of a process at most */
#define SVAN_THREADS_MAX	64
/* how many of them follow advice at a time */
#define SVAN_ADVISERS_MAX	4
/* a thread too many that had nothing to do for so long ends */
#define SVAN_THREAD_IDLE	HZ
/* it shall run soon when it is woken, and needs not run for long, in ns */
#define SVAN_THREAD_SLICE	(100 * NSEC_PER_USEC)
/* after a thread could not be made, until it is tried again */
#define SVAN_THREAD_RETRY	(HZ / 10)

static struct workqueue_struct *svan_reap_wq;
static atomic_t svan_threads;
static DECLARE_WAIT_QUEUE_HEAD(svan_threads_gone);

/* ---- a thread's life ---- */

/* The thread is about to leave vhost_task_create()'s function, or has. */
static void svan_thread_reap(struct work_struct *work)
{
	struct svan_thread *thread = container_of(work, struct svan_thread,
						  reap);

	vhost_task_stop(thread->vtask);
	if (thread->module)
		module_put(THIS_MODULE);
	svan_server_unref(thread->server);
	kfree(thread);
	if (atomic_dec_and_test(&svan_threads))
		wake_up(&svan_threads_gone);
}

static void svan_thread_end(struct svan_thread *thread)
{
	struct svan_server *server = thread->server;

	lockdep_assert_held(&server->lock);
	if (thread->ended)
		return;
	thread->ended = true;
	list_del(&thread->entry);
	server->count--;
	queue_work(svan_reap_wq, &thread->reap);
}

/* The process is dying, or becomes another one by exec. */
static void svan_thread_killed(void *data)
{
	struct svan_thread *thread = data;
	struct svan_server *server = thread->server;

	svan_server_stop(server);
	spin_lock_bh(&server->lock);
	svan_thread_end(thread);
	spin_unlock_bh(&server->lock);
}

static bool svan_thread_run(void *data);

/* In the caller's thread group. */
int svan_thread_create(struct svan_server *server)
{
	struct svan_thread *thread;
	struct vhost_task *vtask;

	thread = kzalloc(sizeof(*thread), GFP_KERNEL_ACCOUNT);
	if (!thread)
		return -ENOMEM;
	INIT_LIST_HEAD(&thread->idle);
	INIT_WORK(&thread->reap, svan_thread_reap);
	thread->server = server;
	vtask = vhost_task_create(svan_thread_run, svan_thread_killed, thread,
				  "svan_fault");
	if (IS_ERR(vtask)) {
		kfree(thread);
		return PTR_ERR(vtask);
	}

	thread->vtask = vtask;
	kref_get(&server->ref);
	atomic_inc(&svan_threads);
	spin_lock_bh(&server->lock);
	list_add(&thread->entry, &server->threads);
	server->count++;
	spin_unlock_bh(&server->lock);
	vhost_task_start(vtask);
	return 0;
}

/* ---- what there is to do ---- */

/* May one more thread wait? The last one may not. */
static bool svan_server_may_wait(const struct svan_server *server)
{
	return server->count - server->waiting > 1;
}

/* Is there work that has to wait, once a thread may? */
static bool svan_server_has_waits(const struct svan_server *server)
{
	return !list_empty(&server->queues[SVAN_QUEUE_WAIT]) ||
	       (!list_empty(&server->queues[SVAN_QUEUE_ADVICE]) &&
		server->advisers < SVAN_ADVISERS_MAX);
}

static bool svan_server_needs_thread(const struct svan_server *server)
{
	return svan_server_has_waits(server) &&
	       !svan_server_may_wait(server) &&
	       server->count < SVAN_THREADS_MAX;
}

static struct svan_job *svan_server_pop(struct svan_server *server,
					enum svan_queue queue)
{
	struct svan_job *job;

	job = list_first_entry_or_null(&server->queues[queue], struct svan_job,
				       entry);
	if (job)
		list_del(&job->entry);
	return job;
}

static struct svan_job *svan_server_next(struct svan_server *server,
					 struct svan_thread *thread)
{
	struct svan_job *job;

	job = svan_server_pop(server, SVAN_QUEUE_QUICK);
	if (job || !svan_server_may_wait(server))
		return job;

	job = svan_server_pop(server, SVAN_QUEUE_WAIT);
	if (!job && server->advisers < SVAN_ADVISERS_MAX) {
		job = svan_server_pop(server, SVAN_QUEUE_ADVICE);
		thread->advises = job;
		server->advisers += thread->advises;
	}
	thread->waits = job;
	server->waiting += thread->waits;
	return job;
}

/* ---- waiting ---- */

/**
 * svan_thread_lend - before the thread may wait for long
 * @thread: it
 * @job: what it does; belongs to nobody until svan_thread_reclaim()
 *
 * Return: false if it must not wait, because nobody wants @job any more.
 */
bool svan_thread_lend(struct svan_thread *thread, struct svan_job *job)
{
	struct svan_server *server = thread->server;
	bool lent;

	spin_lock_bh(&server->lock);
	lent = !server->gone && job->ops->wanted(job);
	if (lent)
		thread->job = job;
	spin_unlock_bh(&server->lock);
	return lent;
}

/* Return: false if somebody has failed the job: it is not to be touched. */
bool svan_thread_reclaim(struct svan_thread *thread)
{
	struct svan_server *server = thread->server;
	bool ours;

	spin_lock_bh(&server->lock);
	ours = thread->job;
	thread->job = NULL;
	spin_unlock_bh(&server->lock);
	return ours;
}

/* Between the two: is the job still ours? */
bool svan_thread_is_lent(const struct svan_thread *thread)
{
	return READ_ONCE(thread->job);
}

struct svan_pins *svan_thread_pins(struct svan_thread *thread)
{
	return &thread->server->pins;
}

/* ---- turns of a thread ---- */

/* The job goes on later. */
static void svan_server_put_back(struct svan_server *server,
				 struct svan_job *job, enum svan_queue queue)
{
	bool gone;

	spin_lock_bh(&server->lock);
	gone = server->gone || !job->ops->wanted(job);
	if (!gone)
		list_add_tail(&job->entry, &server->queues[queue]);
	spin_unlock_bh(&server->lock);
	if (gone)
		job->ops->fail(job);
}

/* The job has to wait. May this thread, or is it left to another one? */
static bool svan_thread_may_wait(struct svan_thread *thread,
				 struct svan_job *job)
{
	struct svan_server *server = thread->server;

	spin_lock_bh(&server->lock);
	thread->waits = svan_server_may_wait(server);
	server->waiting += thread->waits;
	spin_unlock_bh(&server->lock);
	if (!thread->waits)
		svan_server_put_back(server, job, SVAN_QUEUE_WAIT);
	return thread->waits;
}

static void svan_thread_serve(struct svan_thread *thread, struct svan_job *job)
{
	enum svan_queue queue = thread->advises ? SVAN_QUEUE_ADVICE :
						  SVAN_QUEUE_WAIT;

	/* a quick one may turn out to be none */
	if (!thread->waits && (job->ops->quick(thread, job) ||
			       !svan_thread_may_wait(thread, job)))
		return;
	if (!job->ops->serve(thread, job))
		svan_server_put_back(thread->server, job, queue);
}

/* The thread has taken @job, and is counted as waiting if that may wait. */
static void svan_thread_do(struct svan_thread *thread, struct svan_job *job)
{
	struct svan_server *server = thread->server;

	if (try_module_get(THIS_MODULE)) {
		svan_thread_serve(thread, job);
		module_put(THIS_MODULE);
	} else {
		job->ops->fail(job);
	}
	if (!thread->waits)
		return;

	spin_lock_bh(&server->lock);
	server->waiting--;
	server->advisers -= thread->advises;
	thread->waits = false;
	thread->advises = false;
	spin_unlock_bh(&server->lock);
}

/* All others wait: make another one, which may. */
static void svan_thread_multiply(struct svan_thread *thread)
{
	struct svan_server *server = thread->server;

	if (!svan_thread_create(server) || signal_pending(current))
		return;
	spin_lock_bh(&server->lock);
	server->retry = jiffies + SVAN_THREAD_RETRY;
	spin_unlock_bh(&server->lock);
}

/* server->lock is held, and given up. Return false if the thread ends. */
static bool svan_thread_sleep(struct svan_thread *thread)
	__releases(&thread->server->lock)
{
	struct svan_server *server = thread->server;
	long timeout = MAX_SCHEDULE_TIMEOUT;
	bool many = server->count > SVAN_THREADS_MIN;

	if (svan_server_needs_thread(server))
		timeout = SVAN_THREAD_RETRY;
	else if (many)
		timeout = SVAN_THREAD_IDLE;
	list_add(&thread->idle, &server->idle);
	set_current_state(TASK_INTERRUPTIBLE);
	spin_unlock_bh(&server->lock);
	timeout = schedule_timeout(timeout);

	spin_lock_bh(&server->lock);
	if (many && !timeout && !list_empty(&thread->idle) &&
	    server->count > SVAN_THREADS_MIN && svan_server_may_wait(server) &&
	    !svan_server_has_waits(server))
		svan_thread_end(thread);
	list_del_init(&thread->idle);
	spin_unlock_bh(&server->lock);
	return !thread->ended;
}

/* Return false if the thread ends. */
static bool svan_thread_turn(struct svan_thread *thread)
{
	struct svan_server *server = thread->server;
	struct svan_job *job;

	spin_lock_bh(&server->lock);
	thread->task = current;
	if (server->gone) {
		svan_thread_end(thread);
		spin_unlock_bh(&server->lock);
		return false;
	}
	job = svan_server_next(server, thread);
	if (!job && (!svan_server_needs_thread(server) ||
		     time_before(jiffies, server->retry)))
		return svan_thread_sleep(thread);
	spin_unlock_bh(&server->lock);
	if (job)
		svan_thread_do(thread, job);
	else
		svan_thread_multiply(thread);
	return true;
}

/* A wish that any thread may have. Other policies are left as they are. */
static void svan_thread_want_short_slices(void)
{
	struct sched_attr attr = {
		.sched_policy = SCHED_NORMAL,
		.sched_nice = task_nice(current),
		.sched_runtime = SVAN_THREAD_SLICE,
	};

	if (current->policy == SCHED_NORMAL)
		sched_setattr_nocheck(current, &attr);
}

/*
 * Called again and again by vhost_task_create()'s function, which handles
 * signals in between: there the thread stops and freezes. It is called with the
 * state set to sleep.
 */
static bool svan_thread_run(void *data)
{
	struct svan_thread *thread = data;

	if (thread->ended)
		return false;
	__set_current_state(TASK_RUNNING);
	if (!thread->task)
		svan_thread_want_short_slices();
	if (thread->module)
		module_put(THIS_MODULE);
	thread->module = false;
	while (!signal_pending(current))
		if (!svan_thread_turn(thread))
			return false;
	thread->module = try_module_get(THIS_MODULE);
	return true;
}

/* ---- the module ---- */

int svan_servers_init(void)
{
	svan_reap_wq = alloc_workqueue("svan_reap", WQ_UNBOUND, 0);
	return svan_reap_wq ? 0 : -ENOMEM;
}

/* There is no device: threads that do not hold the module are about to end. */
void svan_servers_exit(void)
{
	wait_event(svan_threads_gone, !atomic_read(&svan_threads));
	destroy_workqueue(svan_reap_wq);
}
