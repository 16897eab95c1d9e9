package control

import (
	"context"
	"fmt"
	"time"

	"github.com/pierhead/pierhead/internal/overload"
)

// watchMemory looks at the memory a few times a second until ctx ends, and logs when it
// begins or ends that work is turned away for want of it.
func (c *Control) watchMemory(ctx context.Context) {
	tick := time.NewTicker(overload.Every)
	defer tick.Stop()
	meter := c.opt.Memory
	if meter == nil {
		meter = overload.Meter()
	}
	c.runs.load.Run(ctx, tick.C, meter, c.tellStage)
}

func (c *Control) tellStage(s overload.Stage, m overload.Memory) {
	log := c.opt.Log.Warn
	if s == overload.Calm {
		log = c.opt.Log.Info
	}
	log("memory: "+s.String(), "used", m.Used, "limit", m.Limit, "share", fmt.Sprintf("%.3f", float64(m.Used)/float64(m.Limit)))
}

func collectLoad(send sender, g *overload.Gauge) {
	m := g.Memory()
	send(mStage, float64(g.Stage()))
	send(mUsed, float64(m.Used))
	send(mLimit, float64(m.Limit))
}
