// Package identity is who Polis is to Azure: one credential for every service, and none of it a
// secret. In Azure it is the app's managed identity; on one's own computer, who has signed in
// with az or azd.
package identity

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"polis/handler/internal/fault"
)

// New is the credential. Client is the client id of a user-assigned identity; empty is the
// system-assigned one. It asks for no token yet.
func New(azure bool, client string) (azcore.TokenCredential, error) {
	if azure {
		var o azidentity.ManagedIdentityCredentialOptions
		if client != "" {
			o.ID = azidentity.ClientID(client)
		}
		c, err := azidentity.NewManagedIdentityCredential(&o)
		return c, fault.Wrap(fault.Unconfigured, err, "finding the managed identity")
	}
	var chain []azcore.TokenCredential
	az, err := azidentity.NewAzureCLICredential(nil)
	if err != nil {
		return nil, fault.Wrap(fault.Unconfigured, err, "signing in with az")
	}
	azd, err := azidentity.NewAzureDeveloperCLICredential(nil)
	if err != nil {
		return nil, fault.Wrap(fault.Unconfigured, err, "signing in with azd")
	}
	c, err := azidentity.NewChainedTokenCredential(append(chain, az, azd), nil)
	return c, fault.Wrap(fault.Unconfigured, err, "signing in")
}

// secret is what connection strings, shared access signatures and keys look like. It and named
// are compiled where a setting may be one: compiling both is a tenth of what a start computes.
var secret = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?i)(accountkey|sharedaccesskey(name)?|sharedaccesssignature|sharedsecretvalue|[?&;]sig|clientsecret|password)\s*=|UseDevelopment(Emulator|Storage)\s*=\s*true`)
})

// named are settings that are secrets, whatever they hold.
var named = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?i)^(AZURE_CLIENT_(SECRET|CERTIFICATE_PATH|CERTIFICATE_PASSWORD)|AZURE_PASSWORD|AZURE_STORAGE_(KEY|CONNECTION_STRING|SAS_TOKEN)|(POLIS|COSMOS|BLOBS|SERVICEBUS|ENTRA|AzureWebJobs\w*?)(__|_|:)(accountKey|connectionString|sharedAccessKey|key|sasToken|password|clientSecret))$`)
})

// endings are those of the names that named matches, in small letters.
var endings = []string{"secret", "path", "password", "key", "string", "token"}

func isNamed(name string) bool {
	small := strings.ToLower(name)
	return slices.ContainsFunc(endings, func(e string) bool { return strings.HasSuffix(small, e) }) && named().MatchString(name)
}

// isSecret asks no more of a value than it must: each secret has an equals sign.
func isSecret(value string) bool { return strings.Contains(value, "=") && secret().MatchString(value) }

// ours are the beginnings of the settings that are looked at: those of Polis, of the Functions host's
// bindings, and of the connection strings of an app, where the host looks for those of its bindings too.
var ours = []string{"POLIS", "COSMOS", "BLOBS", "SERVICEBUS", "ENTRA", "AZUREWEBJOBS", "AZURE_", "CONNECTIONSTRINGS", "CUSTOMCONNSTR_", "DOCDBCONNSTR_", "SQLCONNSTR_", "SQLAZURECONNSTR_", "MYSQLCONNSTR_", "POSTGRESQLCONNSTR_"}

// Refuse is an error where a setting of the environment is a key or a connection string: Polis
// uses none, and one that lies about is one that leaks. The error names the settings and
// never what they hold.
func Refuse() error { return refuse(os.Environ()) }

func refuse(environment []string) error {
	var found []string
	for _, pair := range environment {
		name, value, _ := strings.Cut(pair, "=")
		mine := slices.ContainsFunc(ours, func(p string) bool { return strings.HasPrefix(strings.ToUpper(name), p) })
		if value != "" && mine && (isNamed(name) || isSecret(value)) {
			found = append(found, name)
		}
	}
	if len(found) == 0 {
		return nil
	}
	slices.Sort(found)
	return fault.New(fault.Unconfigured, "keys and connection strings are refused, and there is one in %s: name the service instead, such as SERVICEBUS__fullyQualifiedNamespace, and give the app's identity a role there", strings.Join(found, ", "))
}
