package kubectl

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
)

func logsCommand() *subcommand {
	var follow, previous, times bool
	var tail int64
	var since time.Duration
	return &subcommand{
		name: "logs", aliases: []string{"log"}, short: "the logs of the controllers' Pods",
		usage: ` [flags]

Prints what the controllers have logged: the access log, and what is wrong with objects.
Of several Pods every line begins with the Pod's name.

flags:
  -f, --follow              go on until Ctrl-C
      --tail N              only the last lines of each Pod; -1: all (default -1)
      --since D             only lines that are no older, such as 5m
  -p, --previous            of the container that ran before
      --timestamps          with the time of every line
` + podUsage + commonUsage + `
examples:
  kubectl pierhead logs -n pierhead --follow --tail 10
  kubectl pierhead logs --pod pierhead-controller-5d9c7b6f4-x2x7k --previous
`,
		flags: func(k *call) {
			podFlags(k)
			k.flags.BoolVarP(&follow, "follow", "f", false, "")
			k.flags.BoolVarP(&previous, "previous", "p", false, "")
			k.flags.BoolVar(&times, "timestamps", false, "")
			k.flags.Int64Var(&tail, "tail", -1, "")
			k.flags.DurationVar(&since, "since", 0, "")
		},
		run: func(ctx context.Context, k *call) error {
			if err := k.noWords(); err != nil {
				return err
			}
			opt := corev1.PodLogOptions{Follow: follow, Previous: previous, Timestamps: times}
			if tail >= 0 {
				opt.TailLines = &tail
			}
			if since > 0 {
				seconds := int64(since.Seconds())
				opt.SinceSeconds = &seconds
			}
			return k.logs(ctx, opt)
		},
	}
}

// logs prints the logs of all Pods.
func (k *call) logs(ctx context.Context, opt corev1.PodLogOptions) error {
	pods, err := k.controllerPods(ctx)
	if err != nil {
		return err
	}
	if k.limit > 0 {
		if k.cluster, err = connect(k.kubeconfig, k.context, k.cluster.namespace, 0, k.Version); err != nil { // a log has no end
			return err
		}
	}
	errs := make([]error, len(pods))
	var mu sync.Mutex // lines stay whole
	one := func(i int) {
		prefix := ""
		if len(pods) > 1 {
			prefix = "[" + pods[i].Name + "] "
		}
		if err := k.logOf(ctx, pods[i], opt, &mu, prefix); err != nil {
			errs[i] = fmt.Errorf("pod %s: %w", pods[i].Name, told(err))
		}
	}
	var running sync.WaitGroup
	for i := range pods {
		if opt.Follow {
			running.Go(func() { one(i) })
		} else {
			one(i)
		}
	}
	running.Wait()
	if ctx.Err() != nil {
		return nil // Ctrl-C is how following ends
	}
	return errors.Join(errs...)
}

// logOf prints the log of one Pod, line by line.
func (k *call) logOf(ctx context.Context, pod controllerPod, opt corev1.PodLogOptions, mu *sync.Mutex, prefix string) error {
	opt.Container = pod.container
	stream, err := k.client.CoreV1().Pods(pod.Namespace).GetLogs(pod.Name, &opt).Stream(ctx)
	if err != nil {
		return err
	}
	defer stream.Close()
	r := bufio.NewReader(stream)
	for {
		line, err := r.ReadString('\n')
		if line != "" {
			mu.Lock()
			io.WriteString(k.Stdout, prefix+strings.TrimSuffix(line, "\n")+"\n")
			mu.Unlock()
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
