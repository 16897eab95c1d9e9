package process

import (
	"os"
	"os/exec"
	"testing"
)

func TestAlive(t *testing.T) {
	mine, err := Started(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if !Alive(os.Getpid(), mine) {
		t.Error("this process is not alive")
	}
	if Alive(os.Getpid(), mine-1) {
		t.Error("a process that began at another time passes for this one")
	}
	ended := exec.Command("true")
	if err := ended.Run(); err != nil {
		t.Fatal(err)
	}
	if Alive(ended.Process.Pid, mine) {
		t.Error("a process that has ended is alive")
	}
}
