// SPDX-License-Identifier: GPL-2.0-only
/*
 * When the device needs a page of a process, threads of that process fault it in. So
 * nobody else waits for the page, the memory and the CPU time are charged to the
 * process, its limits apply, and the work ends when the process ends.
 *
 * A server belongs to an mm. Its threads (vhost_task_create()) are members of the
 * thread group that registered memory first. They share its mm, cgroup and limits,
 * and stop, freeze and die with it. To do so they leave waits that signals may
 * interrupt. One thread never waits for a page, so that jobs which need no wait are
 * never delayed by those that do. When all other threads wait, it makes another one.
 *
 * A thread that is about to wait lends its job (svan_thread_lend()). Until it
 * reclaims the job, svan_servers_forget() may take the job away and fail it. So
 * nothing depends on the end of the wait but the thread itself. While a thread does
 * a job, and while it handles a signal that may stop it, it holds a reference to the
 * module. Unloading the module then fails at once, instead of waiting for the thread.
 */

#include <linux/hashtable.h>
#include <linux/kref.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "server.h"

/* calls of ibv_advise_mr() that a process may have under way, and their bytes */
#define SVAN_ADVICES_MAX	32
#define SVAN_ADVISED_MAX	(64ull << 30)

/* all servers that accept jobs, by mm */
static DEFINE_HASHTABLE(svan_servers, 8);
static DEFINE_SPINLOCK(svan_servers_lock);

static void svan_server_free(struct kref *ref)
{
	struct svan_server *server = container_of(ref, struct svan_server, ref);

	svan_pins_exit(&server->pins);
	mmdrop(server->mm);
	kfree(server);
}

void svan_server_unref(struct svan_server *server)
{
	kref_put(&server->ref, svan_server_free);
}

/* ---- taking jobs away ---- */

/*
 * Make the thread leave a wait that a signal may interrupt. The thread is alive and in
 * this driver's code, as it is in the server's list of threads and has a job.
 */
static void svan_thread_interrupt(struct svan_thread *thread)
{
	set_tsk_thread_flag(thread->task, TIF_NOTIFY_SIGNAL);
	wake_up_process(thread->task);
}

/* Move the jobs that nobody wants to @list; all jobs, if the server is gone. */
static void svan_server_collect(struct svan_server *server,
				struct list_head *list)
{
	struct svan_thread *thread;
	struct svan_job *job, *next;
	u32 i;

	lockdep_assert_held(&server->lock);
	for (i = 0; i < SVAN_QUEUES; i++)
		list_for_each_entry_safe(job, next, &server->queues[i], entry)
			if (server->gone || !job->ops->wanted(job))
				list_move_tail(&job->entry, list);
	list_for_each_entry(thread, &server->threads, entry) {
		job = thread->job;
		if (!job || (!server->gone && job->ops->wanted(job)))
			continue;
		WRITE_ONCE(thread->job, NULL);
		list_add_tail(&job->entry, list);
		svan_thread_interrupt(thread);
	}
}

static void svan_jobs_fail(struct list_head *list)
{
	struct svan_job *job, *next;

	list_for_each_entry_safe(job, next, list, entry) {
		list_del(&job->entry);
		job->ops->fail(job);
	}
}

static struct svan_server *svan_server_find(const struct mm_struct *mm)
{
	struct svan_server *server;

	lockdep_assert_held(&svan_servers_lock);
	hash_for_each_possible(svan_servers, server, node, (unsigned long)mm)
		if (server->mm == mm)
			return server;
	return NULL;
}

static void svan_server_forget(struct svan_server *server,
			       struct list_head *list)
{
	spin_lock(&server->lock);
	svan_server_collect(server, list);
	spin_unlock(&server->lock);
}

/**
 * svan_servers_forget - fail the jobs that nobody wants any more
 * @mm: the mm whose jobs are examined; NULL means those of all servers
 *
 * The caller has marked something as gone, so that svan_job_ops.wanted is false for
 * the jobs that were for it. On return these jobs have failed. No thread is waited
 * for.
 */
void svan_servers_forget(const struct mm_struct *mm)
{
	struct svan_server *server;
	LIST_HEAD(list);
	int i;

	spin_lock_bh(&svan_servers_lock);
	if (mm) {
		server = svan_server_find(mm);
		if (server)
			svan_server_forget(server, &list);
	} else {
		hash_for_each(svan_servers, i, server, node)
			svan_server_forget(server, &list);
	}
	spin_unlock_bh(&svan_servers_lock);
	svan_jobs_fail(&list);
}

/* From here on the server accepts no jobs, and its threads end by themselves. */
void svan_server_stop(struct svan_server *server)
{
	struct svan_thread *thread;
	LIST_HEAD(list);

	spin_lock_bh(&svan_servers_lock);
	hash_del(&server->node);
	spin_unlock_bh(&svan_servers_lock);

	spin_lock_bh(&server->lock);
	server->gone = true;
	svan_server_collect(server, &list);
	list_for_each_entry(thread, &server->idle, idle)
		wake_up_process(thread->task);
	spin_unlock_bh(&server->lock);
	svan_jobs_fail(&list);
}

/* ---- accepting jobs ---- */

/* Wake an idle thread. If there is none, a running one will look at the queues. */
static void svan_server_wake(struct svan_server *server)
{
	struct svan_thread *thread;

	thread = list_first_entry_or_null(&server->idle, struct svan_thread,
					  idle);
	if (thread) {
		list_del_init(&thread->idle);
		wake_up_process(thread->task);
	}
}

static int svan_server_add(struct svan_server *server, struct svan_job *job,
			   enum svan_queue queue)
{
	int err = -ESRCH;

	spin_lock(&server->lock);
	if (!server->gone && job->ops->wanted(job)) {
		list_add_tail(&job->entry, &server->queues[queue]);
		svan_server_wake(server);
		err = 0;
	}
	spin_unlock(&server->lock);
	return err;
}

/**
 * svan_server_submit - give a job to the threads of a process
 * @mm: the mm of the process
 * @job: the job
 * @queue: SVAN_QUEUE_QUICK for a job that is expected not to wait, SVAN_QUEUE_ADVICE
 *	for advice, SVAN_QUEUE_WAIT for others
 *
 * Return: 0, or -ESRCH if the process has no server or nobody wants the job done.
 */
int svan_server_submit(const struct mm_struct *mm, struct svan_job *job,
		       enum svan_queue queue)
{
	struct svan_server *server;
	int err = -ESRCH;

	spin_lock_bh(&svan_servers_lock);
	server = svan_server_find(mm);
	if (server)
		err = svan_server_add(server, job, queue);
	spin_unlock_bh(&svan_servers_lock);
	return err;
}

/* ---- users ---- */

static struct svan_server *svan_server_alloc(void)
{
	struct svan_server *server;
	u32 i;

	server = kzalloc(sizeof(*server), GFP_KERNEL_ACCOUNT);
	if (!server)
		return NULL;
	kref_init(&server->ref);
	server->users = 1;
	server->mm = current->mm;
	mmgrab(server->mm);
	server->retry = jiffies;
	spin_lock_init(&server->lock);
	INIT_LIST_HEAD(&server->threads);
	INIT_LIST_HEAD(&server->idle);
	for (i = 0; i < SVAN_QUEUES; i++)
		INIT_LIST_HEAD(&server->queues[i]);
	svan_pins_init(&server->pins);
	return server;
}

static struct svan_server *svan_server_create(void)
{
	struct svan_server *server = svan_server_alloc();
	int i, err;

	if (!server)
		return ERR_PTR(-ENOMEM);
	for (i = 0; i < SVAN_THREADS_MIN; i++) {
		err = svan_thread_create(server);
		if (err) {
			svan_server_stop(server);
			svan_server_unref(server);
			return ERR_PTR(err);
		}
	}
	return server;
}

/* Become a user of the server that the caller's process has; NULL if it has none. */
static struct svan_server *svan_server_use(void)
{
	struct svan_server *server;

	spin_lock_bh(&svan_servers_lock);
	server = svan_server_find(current->mm);
	if (server)
		server->users++;
	spin_unlock_bh(&svan_servers_lock);
	return server;
}

/*
 * Make @server the server of its mm, and return it. If another thread of the process
 * has been faster, become a user of that one's server and return it instead.
 */
static struct svan_server *svan_server_publish(struct svan_server *server)
{
	struct svan_server *other;

	spin_lock_bh(&svan_servers_lock);
	other = svan_server_find(server->mm);
	if (other)
		other->users++;
	else
		hash_add(svan_servers, &server->node,
			 (unsigned long)server->mm);
	spin_unlock_bh(&svan_servers_lock);
	return other ?: server;
}

/**
 * svan_server_get - become a user of the server of the calling process
 *
 * The first user makes the server and its threads.
 *
 * Return: the server, or an error pointer; -EAGAIN if the process may not have so
 * many threads.
 */
struct svan_server *svan_server_get(void)
{
	struct svan_server *server, *mine;

	server = svan_server_use();
	if (server)
		return server;
	mine = svan_server_create();
	if (IS_ERR(mine))
		return mine;
	server = svan_server_publish(mine);
	if (server != mine) {
		svan_server_stop(mine);
		svan_server_unref(mine);
	}
	return server;
}

/* Count one more user; the caller is one already. */
struct svan_server *svan_server_again(struct svan_server *server)
{
	spin_lock_bh(&svan_servers_lock);
	server->users++;
	spin_unlock_bh(&svan_servers_lock);
	return server;
}

/* After the last user the threads are told to end, and are not waited for. */
void svan_server_put(struct svan_server *server)
{
	bool last;

	spin_lock_bh(&svan_servers_lock);
	last = !--server->users;
	if (last)
		hash_del(&server->node);
	spin_unlock_bh(&svan_servers_lock);
	if (!last)
		return;
	svan_server_stop(server);
	svan_server_unref(server);
}

/* ---- limits of advice ---- */

/**
 * svan_server_charge - count a call of ibv_advise_mr() against the limits
 * @mm: the mm that the memory belongs to
 * @bytes: number of bytes that the call is about
 *
 * Return: the server, with a reference, for svan_server_uncharge(); -EAGAIN if too
 * much advice is under way already; -ESRCH if the process has no server.
 */
struct svan_server *svan_server_charge(const struct mm_struct *mm, u64 bytes)
{
	struct svan_server *server;
	u64 advised;
	int advices;

	spin_lock_bh(&svan_servers_lock);
	server = svan_server_find(mm);
	if (server)
		kref_get(&server->ref);
	spin_unlock_bh(&svan_servers_lock);
	if (!server)
		return ERR_PTR(-ESRCH);

	advices = atomic_inc_return(&server->advices);
	advised = atomic64_add_return(bytes, &server->advised);
	/* The number of bytes does not matter for a call that is the only one. */
	if (advices > SVAN_ADVICES_MAX ||
	    (advices > 1 && advised > SVAN_ADVISED_MAX)) {
		svan_server_uncharge(server, bytes);
		return ERR_PTR(-EAGAIN);
	}
	return server;
}

void svan_server_uncharge(struct svan_server *server, u64 bytes)
{
	atomic_dec(&server->advices);
	atomic64_sub(bytes, &server->advised);
	svan_server_unref(server);
}
