package main

import (
	"fmt"

	"polis/handler/internal/feature"
)

type featuresCmd struct {
	JSON bool `name:"json" help:"Print them as JSON."`
}

func (m *featuresCmd) Run() error {
	if m.JSON {
		return printJSON(feature.Catalogue())
	}
	_, err := fmt.Print(feature.Page())
	return err
}
