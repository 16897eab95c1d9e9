package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// replicas brings the number of the controller's Pods to n, and waits.
func (m *measure) replicas(ctx context.Context, n int) error {
	in := m.Installed
	if _, err := m.RunKubectl(ctx, "", "-n", in.Namespace, "scale", "deployment/"+in.Deployment, fmt.Sprint("--replicas=", n)); err != nil {
		return err
	}
	return until(ctx, 15*time.Minute, func() error {
		list, err := m.Client().CoreV1().Pods(in.Namespace).List(ctx, metav1.ListOptions{LabelSelector: in.Selector})
		if err != nil {
			return err
		}
		if len(list.Items) != n {
			return fmt.Errorf("%d Pods, want %d", len(list.Items), n)
		}
		for i := range list.Items {
			if s := list.Items[i].Status.ContainerStatuses; len(s) != 1 || !s[0].Ready {
				return fmt.Errorf("pod %s is not ready", list.Items[i].Name)
			}
		}
		return nil
	})
}

// until repeats check until it returns nil.
func until(ctx context.Context, limit time.Duration, check func() error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		err := check()
		if err == nil {
			return nil
		}
		if late := sleep(ctx, 50*time.Millisecond); late != nil {
			return fmt.Errorf("%w: %w", late, err)
		}
	}
}

// start starts the controller some times and reads in its log how long that took.
func (m *measure) start(ctx context.Context) error {
	var whole, read, made, cpu times
	var most int64
	for range m.starts {
		if err := m.replicas(ctx, 0); err != nil {
			return err
		}
		if err := m.replicas(ctx, 1); err != nil {
			return err
		}
		pods, err := m.Pods(ctx)
		if err != nil || len(pods) != 1 {
			return errors.Join(err, fmt.Errorf("%d Pods run, want 1", len(pods)))
		}
		m.pod = pods[0]
		at, err := m.logged(m.pod.Name, "Pierhead starts", "everything has been read", "the first table is live")
		if err != nil {
			return err
		}
		whole, read, made = append(whole, at[2].Sub(at[0])), append(read, at[1].Sub(at[0])), append(made, at[2].Sub(at[1]))
		used, err := m.pod.CPU()
		if err != nil {
			return err
		}
		_, peak, err := m.pod.Resident()
		if err != nil {
			return err
		}
		cpu, most = append(cpu, used), max(most, peak)
	}
	times := fmt.Sprintf(" (worst of %d)", m.starts)
	m.table.add("start to ready"+times, "%.3g s", whole.at(1).Seconds())
	m.table.add("of that, until everything has been read", "%.3g s", read.at(1).Seconds())
	m.table.most("everything read to ready"+times, 10, made.at(1).Seconds(), "s")
	m.table.add("CPU used until ready", "%.3g s", cpu.at(1).Seconds())
	m.table.add("resident memory, most while starting", "%.0f MiB", mib(most))
	return m.profile(ctx, "heap?gc=1", "heap-start.pb.gz")
}

// logged returns when a Pod logged these messages.
func (m *measure) logged(pod string, messages ...string) ([]time.Time, error) {
	file, err := os.Open(m.PodLog(m.Installed.Namespace, pod, "controller"))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	at := make([]time.Time, len(messages))
	for lines := bufio.NewScanner(file); lines.Scan(); {
		for i, message := range messages {
			if strings.Contains(lines.Text(), fmt.Sprintf("msg=%q", message)) && at[i].IsZero() {
				text, _, _ := strings.Cut(strings.TrimPrefix(lines.Text(), "time="), " ")
				if at[i], err = time.Parse(time.RFC3339, text); err != nil {
					return nil, err
				}
			}
		}
	}
	for i, message := range messages {
		if at[i].IsZero() {
			return nil, fmt.Errorf("pod %s did not log %q", pod, message)
		}
	}
	return at, nil
}

// settle waits until every Ingress has its address, and looks at the idle controller.
func (m *measure) settle(ctx context.Context) error {
	begun := time.Now()
	if err := until(ctx, 30*time.Minute, func() error {
		left, err := m.withoutAddress(ctx)
		if err == nil && left > 0 {
			err = errors.Join(fmt.Errorf("%d Ingresses have no address", left), sleep(ctx, 2*time.Second))
		}
		return err
	}); err != nil {
		return err
	}
	if !m.published {
		m.table.add("addresses written to the status of all Ingresses, after ready", "%.0f s", time.Since(begun).Seconds())
	}
	if err := sleep(ctx, m.idle); err != nil {
		return err
	}
	before, err := m.pod.CPU()
	if err != nil {
		return err
	}
	if err := sleep(ctx, m.idle); err != nil {
		return err
	}
	after, err := m.pod.CPU()
	if err != nil {
		return err
	}
	m.idleCPU = (after - before).Seconds() / m.idle.Seconds()
	m.table.add(fmt.Sprintf("CPU idle, over %s", m.idle), "%.2f %% of a core", 100*m.idleCPU)
	return m.memory(ctx, "settled")
}

// withoutAddress counts the Ingresses whose status is empty.
func (m *measure) withoutAddress(ctx context.Context) (n int, err error) {
	list, err := m.Client().NetworkingV1().Ingresses("").List(ctx, metav1.ListOptions{ResourceVersion: "0"})
	if err != nil {
		return 0, err
	}
	for i := range list.Items {
		if len(list.Items[i].Status.LoadBalancer.Ingress) == 0 {
			n++
		}
	}
	return n, nil
}

// memory looks at the controller's memory.
func (m *measure) memory(ctx context.Context, when string) error {
	resident, _, err := m.pod.Resident()
	if err != nil {
		return err
	}
	metrics, err := m.pod.Metrics(ctx)
	if err != nil {
		return err
	}
	heap, err := m.pod.Heap(ctx)
	if err != nil {
		return err
	}
	m.table.most("resident memory, "+when, 400, mib(resident), "MiB")
	m.table.add("Go heap after a collection, "+when, "%.0f MiB", mib(heap))
	m.table.add("Go heap in use / held from the system, "+when, "%.0f / %.0f MiB", metrics["go_memstats_heap_inuse_bytes"]/(1<<20),
		(metrics["go_memstats_sys_bytes"]-metrics["go_memstats_heap_released_bytes"])/(1<<20))
	return m.profile(ctx, "heap?gc=1", "heap-"+when+".pb.gz")
}

// atEnd looks at the memory again, and that the controller is the same as at the start.
func (m *measure) atEnd(ctx context.Context) error {
	pods, err := m.Pods(ctx)
	if err != nil {
		return err
	}
	if len(pods) != 1 || pods[0].Name != m.pod.Name || pods[0].Restarts != 0 {
		return fmt.Errorf("the controller is not the one that was measured, or has started again: %+v", pods)
	}
	return m.memory(ctx, "at the end")
}
