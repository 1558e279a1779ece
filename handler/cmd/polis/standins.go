//go:build standins

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"polis/handler/internal/config"
	"polis/handler/internal/fault"
	"polis/handler/internal/standin"
)

// container is where blobs are, as the estate calls it.
const container = "polis"

// startStandins starts what plays Azure's part for a folder, and says what that is. What it
// returns ends it.
func startStandins(ctx context.Context, dir string) (stop func(), err error) {
	if exists(filepath.Join(dir, blobFolder)) {
		return nil, fault.New(fault.Unconfigured, "%s keeps its blobs in a folder: --data names another for the stand-ins", dir)
	}
	in := filepath.Join(dir, standinFolder)
	if err := standin.Installed(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(in, 0o700); err != nil {
		return nil, fault.Wrap(fault.Unconfigured, err, "making the stand-ins' folder")
	}
	log, err := os.OpenFile(filepath.Join(in, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fault.Wrap(fault.Unconfigured, err, "opening the stand-ins' log")
	}
	up, err := standin.Up(ctx, in, container, "", log)
	if err != nil {
		_ = log.Close() // what went wrong is said already
		return nil, err
	}
	fmt.Printf("stack: blobs in Azurite at %s, messages by AMQP at %s, documents in SQLite\n", up.Blobs, up.Bus)
	return func() {
		up.Down()
		_ = log.Close() // nothing more is said in it
	}, nil
}

// openStandins opens the blobs and the bus of a folder, as the handler does.
func (s *stack) openStandins() error {
	in := filepath.Join(s.dir, standinFolder)
	at, err := standin.Find(in)
	if err == nil {
		err = at.Answer(context.Background())
	}
	if err != nil {
		return fmt.Errorf("%s keeps blobs and messages in stand-ins, started by `polis local --stack azurite`: %w", s.dir, err)
	}
	s.app = map[string]string{
		"POLIS_BLOBS": config.AzureBlobs, "BLOBS__blobServiceUri": at.Blobs, "BLOBS__container": container,
		"POLIS_BUS": config.ServiceBus, "SERVICEBUS__fullyQualifiedNamespace": standin.Namespace, "POLIS_STANDINS": in,
	}
	return s.reach(config.Config{
		Blobs: config.AzureBlobs, BlobsEndpoint: at.Blobs, BlobsContainer: container,
		Bus: config.ServiceBus, BusNamespace: standin.Namespace, StandinFolder: in,
	}, false)
}
