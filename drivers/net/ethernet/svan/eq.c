// SPDX-License-Identifier: GPL-2.0-only
/*
 * Event queues (PRM chapter "Queues"). EQ 0 carries asynchronous events and command
 * completions; there is one more EQ for each completion vector. EQ n interrupts
 * with MSI-X vector n, whose handler is the queue's only consumer.
 *
 * The handlers of CQs, QPs and SRQs are looked up in xarrays, without a lock. They are
 * called in hard interrupts only. So to detach one, its entry is erased, and the
 * interrupts that may have seen it are waited for.
 */
#include <linux/cpumask.h>
#include <linux/dma-mapping.h>
#include <linux/log2.h>

#include "shim.h"
#include "svan.h"
#include "svan_trace.h"

#define SVAN_ASYNC_EQ_LOG_SIZE	10
#define SVAN_COMP_EQ_LOG_SIZE	12
/* entries that are consumed before the device is told of it */
#define SVAN_EQ_BATCH		64

static size_t svan_eq_bytes(const struct svan_eq *eq)
{
	return PAGE_ALIGN(sizeof(struct svan_eqe) << eq->log_size);
}

/* Tell the device how far the queue is consumed. @arm: interrupt for what follows. */
static void svan_eq_update_ci(struct svan_eq *eq, bool arm)
{
	svan_write(eq->dev, SVAN_REG_EQ_DB(eq->eqn),
		   (eq->ci & SVAN_EQ_DB_CI_MASK) | (arm ? SVAN_EQ_DB_ARM : 0));
}

static bool svan_eq_next(struct svan_eq *eq, struct svan_eqe *eqe)
{
	struct svan_eqe *entry = &eq->ring[eq->ci & (BIT(eq->log_size) - 1)];

	if (!svan_eqe_valid(READ_ONCE(entry->owner), eq->ci, eq->log_size))
		return false;
	/* The owner octet is read before the rest, as the device writes it last. */
	dma_rmb();
	*eqe = *entry;
	eq->ci++;
	return true;
}

static void svan_dispatch_cq_event(struct svan_dev *dev, u32 cqn, u8 type, u32 data)
{
	struct svan_cq_handler *handler = xa_load(&dev->cqs, cqn);

	if (!handler)
		return;		/* the handler was detached after the event was written */
	if (type == SVAN_EVENT_COMPLETION)
		handler->complete(handler);
	else
		handler->error(handler, data);
}

static void svan_dispatch_qp_event(struct svan_dev *dev, u32 qpn, u8 type)
{
	struct svan_qp_handler *handler = xa_load(&dev->qps, qpn);

	if (handler)
		handler->event(handler, type);
}

static void svan_dispatch_srq_event(struct svan_dev *dev, u32 srqn, u8 type, u32 data)
{
	struct svan_srq_handler *handler = xa_load(&dev->srqs, srqn);

	if (!handler)
		return;
	if (type == SVAN_EVENT_SRQ_LIMIT)
		handler->limit(handler);
	else
		handler->error(handler, data);
}

static void svan_dispatch_page_event(struct svan_dev *dev)
{
	struct svan_page_handler *handler = READ_ONCE(dev->page_handler);

	if (handler)
		handler->request(handler);
}

static void svan_dispatch_flow_event(struct svan_dev *dev, u32 function)
{
	struct svan_shim *shim = READ_ONCE(dev->shim);

	if (shim)
		svan_shim_event(shim, function);
}

static void svan_eq_dispatch(struct svan_eq *eq, const struct svan_eqe *eqe)
{
	struct svan_dev *dev = eq->dev;
	u32 qn = le32_to_cpu(eqe->qn);
	u32 data = le32_to_cpu(eqe->data);

	trace_svan_eqe(dev, eq->eqn, eqe->type, qn, data);
	switch (eqe->type) {
	case SVAN_EVENT_COMPLETION:
	case SVAN_EVENT_CQ_ERROR:
		svan_dispatch_cq_event(dev, qn, eqe->type, data);
		break;
	case SVAN_EVENT_CMD:
		svan_cmdq_reap(dev);
		break;
	case SVAN_EVENT_PORT:
		schedule_work(&dev->port_work);
		break;
	case SVAN_EVENT_FATAL:
		schedule_work(&dev->fatal_work);
		break;
	case SVAN_EVENT_QP_FATAL:
	case SVAN_EVENT_QP_REQ_ERR:
	case SVAN_EVENT_QP_ACCESS_ERR:
	case SVAN_EVENT_QP_COMM_EST:
	case SVAN_EVENT_QP_SQ_DRAINED:
	case SVAN_EVENT_QP_LAST_WQE:
		svan_dispatch_qp_event(dev, qn, eqe->type);
		break;
	case SVAN_EVENT_SRQ_LIMIT:
	case SVAN_EVENT_SRQ_ERROR:
		svan_dispatch_srq_event(dev, qn, eqe->type, data);
		break;
	case SVAN_EVENT_PAGE_REQUEST:
		svan_dispatch_page_event(dev);
		break;
	case SVAN_EVENT_FLOW:
		svan_dispatch_flow_event(dev, qn);
		break;
	default:
		dev_warn_ratelimited(&dev->pdev->dev,
				     "EQ %u: unknown event %#x\n", eq->eqn,
				     eqe->type);
	}
}

static irqreturn_t svan_eq_interrupt(int irq, void *data)
{
	struct svan_eq *eq = data;
	struct svan_eqe eqe;
	u32 n = 0;

	/*
	 * Take one ring's worth of entries at most. A device that goes on writing
	 * interrupts again when the queue is armed.
	 */
	while (n < BIT(eq->log_size) && svan_eq_next(eq, &eqe)) {
		svan_eq_dispatch(eq, &eqe);
		if (++n % SVAN_EQ_BATCH == 0)
			svan_eq_update_ci(eq, false);
	}
	svan_eq_update_ci(eq, true);
	return IRQ_HANDLED;
}

static int svan_eq_request_irq(struct svan_eq *eq)
{
	struct svan_dev *dev = eq->dev;
	int err;

	eq->irq = pci_irq_vector(dev->pdev, eq->eqn);
	if (eq->eqn)
		snprintf(eq->name, sizeof(eq->name), "svan-comp%u@%s",
			 eq->eqn - 1, svan_name(dev));
	else
		snprintf(eq->name, sizeof(eq->name), "svan-async@%s",
			 svan_name(dev));
	err = request_irq(eq->irq, svan_eq_interrupt, 0, eq->name, eq);
	if (err)
		return err;
	if (eq->eqn) {
		u32 cpu = cpumask_local_spread(eq->eqn - 1,
					       dev_to_node(&dev->pdev->dev));

		irq_set_affinity_and_hint(eq->irq, cpumask_of(cpu));
	}
	return 0;
}

static void svan_eq_free_irq(struct svan_eq *eq)
{
	irq_update_affinity_hint(eq->irq, NULL);
	free_irq(eq->irq, eq);
}

static int svan_eq_open(struct svan_dev *dev, u32 eqn)
{
	struct svan_cmd cmd = { .hdr.opcode = cpu_to_le16(SVAN_CMD_CREATE_EQ) };
	struct svan_eq *eq = &dev->eqs[eqn];
	int err;

	eq->dev = dev;
	eq->eqn = eqn;
	eq->ci = 0;
	eq->log_size = min_t(u32, eqn ? SVAN_COMP_EQ_LOG_SIZE : SVAN_ASYNC_EQ_LOG_SIZE,
			     ilog2(le32_to_cpu(dev->caps.max_eqe)));
	eq->ring = dma_alloc_coherent(&dev->pdev->dev, svan_eq_bytes(eq),
				      &eq->ring_dma, GFP_KERNEL);
	if (!eq->ring)
		return -ENOMEM;
	err = svan_eq_request_irq(eq);
	if (err)
		goto err_free_ring;
	cmd.create_eq.ring = cpu_to_le64(eq->ring_dma);
	cmd.create_eq.eqn = cpu_to_le32(eqn);
	cmd.create_eq.vector = cpu_to_le16(eqn);
	cmd.create_eq.log_size = eq->log_size;
	err = svan_cmd_exec(dev, &cmd, NULL);
	if (err)
		goto err_free_irq;
	svan_eq_update_ci(eq, true);
	return 0;

err_free_irq:
	svan_eq_free_irq(eq);
err_free_ring:
	dma_free_coherent(&dev->pdev->dev, svan_eq_bytes(eq), eq->ring,
			  eq->ring_dma);
	return err;
}

static void svan_eq_close(struct svan_eq *eq)
{
	svan_cmd_destroy_object(eq->dev, SVAN_CMD_DESTROY_EQ, eq->eqn);
	svan_eq_free_irq(eq);
	dma_free_coherent(&eq->dev->pdev->dev, svan_eq_bytes(eq), eq->ring,
			  eq->ring_dma);
}

int svan_eqs_create(struct svan_dev *dev)
{
	u32 n;
	int err;

	dev->eqs = kcalloc(dev->num_vectors, sizeof(*dev->eqs), GFP_KERNEL);
	if (!dev->eqs)
		return -ENOMEM;
	for (n = 0; n < dev->num_vectors; n++) {
		err = svan_eq_open(dev, n);
		if (err) {
			dev_err(&dev->pdev->dev, "EQ %u: error %d\n", n, err);
			goto err_destroy;
		}
		if (n == 0)
			svan_cmdq_use_events(dev, true);
	}
	dev->num_eqs = n;
	return 0;

err_destroy:
	svan_cmdq_use_events(dev, false);
	while (n--)
		svan_eq_close(&dev->eqs[n]);
	kfree(dev->eqs);
	dev->eqs = NULL;
	return err;
}

void svan_eqs_destroy(struct svan_dev *dev)
{
	u32 n = dev->num_eqs;

	dev->num_eqs = 0;
	svan_cmdq_use_events(dev, false);
	while (n--)
		svan_eq_close(&dev->eqs[n]);
	kfree(dev->eqs);
	dev->eqs = NULL;
}

/* One vector is for asynchronous events; the others are for one CPU each. */
int svan_vectors_alloc(struct svan_dev *dev)
{
	u32 max_eq = le32_to_cpu(dev->caps.max_eq);
	u32 want = min_t(u32, num_online_cpus() + 1, min_t(u32, max_eq, SVAN_MAX_EQS));
	int n;

	n = pci_alloc_irq_vectors(dev->pdev, 2, want, PCI_IRQ_MSIX);
	if (n < 0) {
		dev_err(&dev->pdev->dev, "no MSI-X vectors: error %d\n", n);
		return n;
	}
	dev->num_vectors = n;
	return 0;
}

void svan_vectors_free(struct svan_dev *dev)
{
	pci_free_irq_vectors(dev->pdev);
	dev->num_vectors = 0;
}

/**
 * svan_cq_attach - receive the events of a CQ
 * @dev: the function
 * @cqn: number of the CQ, which is not armed yet
 * @handler: called in hard interrupts
 *
 * Return: 0, -EBUSY if the CQ has a handler already, -ENOMEM.
 */
int svan_cq_attach(struct svan_dev *dev, u32 cqn, struct svan_cq_handler *handler)
{
	return xa_insert(&dev->cqs, cqn, handler, GFP_KERNEL);
}
EXPORT_SYMBOL_GPL(svan_cq_attach);

/* Wait for the interrupts that may have found a handler before its entry was erased. */
static void svan_eqs_synchronize(struct svan_dev *dev, u32 first, u32 last)
{
	u32 n;

	for (n = first; n < last; n++)
		synchronize_irq(dev->eqs[n].irq);
}

/**
 * svan_cq_detach - stop to receive the events of a CQ
 * @dev: the function
 * @cqn: the CQ
 *
 * When it returns the handler does not run and will not run. May sleep.
 */
void svan_cq_detach(struct svan_dev *dev, u32 cqn)
{
	xa_erase(&dev->cqs, cqn);
	svan_eqs_synchronize(dev, 0, dev->num_eqs);
}
EXPORT_SYMBOL_GPL(svan_cq_detach);

/**
 * svan_qp_attach - receive the asynchronous events of a QP
 * @dev: the function
 * @qpn: the QP
 * @handler: called in hard interrupts
 *
 * Return: 0, -EBUSY if the QP has a handler already, -ENOMEM.
 */
int svan_qp_attach(struct svan_dev *dev, u32 qpn, struct svan_qp_handler *handler)
{
	return xa_insert(&dev->qps, qpn, handler, GFP_KERNEL);
}
EXPORT_SYMBOL_GPL(svan_qp_attach);

/**
 * svan_qp_detach - stop to receive the events of a QP
 * @dev: the function
 * @qpn: the QP
 *
 * When it returns the handler does not run and will not run. May sleep.
 */
void svan_qp_detach(struct svan_dev *dev, u32 qpn)
{
	xa_erase(&dev->qps, qpn);
	svan_eqs_synchronize(dev, 0, min(dev->num_eqs, 1u));
}
EXPORT_SYMBOL_GPL(svan_qp_detach);

/**
 * svan_srq_attach - receive the asynchronous events of a shared receive queue
 * @dev: the function
 * @srqn: the queue
 * @handler: called in hard interrupts
 *
 * Return: 0, -EBUSY if the queue has a handler already, -ENOMEM.
 */
int svan_srq_attach(struct svan_dev *dev, u32 srqn, struct svan_srq_handler *handler)
{
	return xa_insert(&dev->srqs, srqn, handler, GFP_KERNEL);
}
EXPORT_SYMBOL_GPL(svan_srq_attach);

/**
 * svan_srq_detach - stop to receive the events of a shared receive queue
 * @dev: the function
 * @srqn: the queue
 *
 * When it returns the handler does not run and will not run. May sleep.
 */
void svan_srq_detach(struct svan_dev *dev, u32 srqn)
{
	xa_erase(&dev->srqs, srqn);
	svan_eqs_synchronize(dev, 0, min(dev->num_eqs, 1u));
}
EXPORT_SYMBOL_GPL(svan_srq_detach);

/**
 * svan_page_attach - receive the event of page requests
 * @dev: the function
 * @handler: called in hard interrupts, possibly before this function returns
 *
 * Return: 0, -EBUSY if there is a handler already.
 */
int svan_page_attach(struct svan_dev *dev, struct svan_page_handler *handler)
{
	return cmpxchg(&dev->page_handler, NULL, handler) ? -EBUSY : 0;
}
EXPORT_SYMBOL_GPL(svan_page_attach);

/**
 * svan_page_detach - stop to receive the event of page requests
 * @dev: the function
 *
 * When it returns the handler does not run and will not run. May sleep.
 */
void svan_page_detach(struct svan_dev *dev)
{
	WRITE_ONCE(dev->page_handler, NULL);
	svan_eqs_synchronize(dev, 0, min(dev->num_eqs, 1u));
}
EXPORT_SYMBOL_GPL(svan_page_detach);

/* The shim hears of flows from here on. */
void svan_shim_attach(struct svan_dev *dev, struct svan_shim *shim)
{
	WRITE_ONCE(dev->shim, shim);
}

/* On return it does not hear of any, and no handler uses it. May sleep. */
void svan_shim_detach(struct svan_dev *dev)
{
	WRITE_ONCE(dev->shim, NULL);
	svan_eqs_synchronize(dev, 0, min(dev->num_eqs, 1u));
}
