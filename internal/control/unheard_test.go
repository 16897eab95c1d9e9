package control

import (
	"testing"
	"time"

	"github.com/pierhead/pierhead/internal/model"
)

// TestUnheardSettingsAreTold holds that the second of two controllers is told when its
// bounds of upstream connections do not count.
func TestUnheardSettingsAreTold(t *testing.T) {
	at := func(name string, idle time.Duration) model.Controller {
		return model.Controller{Name: name, Origin: model.Origin{Kind: "Deployment", Name: name}, Settings: model.Settings{UpstreamIdle: idle}}
	}
	for _, c := range []struct {
		second time.Duration
		told   int
	}{{time.Minute, 0}, {time.Second, 1}} {
		found := &findings{}
		unheard(&Plan{Config: &model.Config{Controllers: []model.Controller{at("a", time.Minute), at("b", c.second)}}}, found)
		if len(found.problems) != c.told || c.told == 1 && found.problems[0].Origin.Name != "b" {
			t.Errorf("idle time %v: problems %v, want %d, for b", c.second, found.problems, c.told)
		}
	}
}
