// Command pack makes the archive of the Helm chart that a repository of charts serves.
//
//	go run ./pack ../chart/pierhead ../../dist
package main

import (
	"fmt"
	"os"

	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/chart/v2/util"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: pack CHART FOLDER")
		os.Exit(2)
	}
	path, err := pack(os.Args[1], os.Args[2])
	if err != nil {
		fmt.Fprintf(os.Stderr, "pack: %v\n", err)
		os.Exit(1)
	}
	fmt.Println(path)
}

// pack writes the archive of a chart to a folder and returns its name.
func pack(chart, folder string) (string, error) {
	c, err := loader.Load(chart)
	if err != nil {
		return "", err
	}
	if err := c.Validate(); err != nil {
		return "", err
	}
	return util.Save(c, folder)
}
