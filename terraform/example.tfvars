# An example: the sample company. Copy it, change every line, and keep the copy out of this folder's history if your
# admins' addresses are nobody's business.

project = {
  id     = "acme-sealwright"
  number = "210987654321"
  region = "europe-west1"
}

workspace = {
  customer_id         = "C00sample"
  primary_domain      = "acme.example"
  organization_number = "123456789012"
}

public_hosts = {
  pki         = "pki.acme.example"
  key_service = "kacls.acme.example"
}

policy_file = "policy.yaml"

key_service = {
  tenant_id    = "C00sample"
  key_versions = [1]
  identity_providers = [
    {
      issuer    = "https://idp.acme.example"
      jwks_url  = "https://idp.acme.example/keys"
      audiences = ["acme-cse"]
    },
  ]
}

admins = {
  invokers  = ["group:pki-admins@acme.example"]
  addresses = ["admin@acme.example"]
  audiences = ["1234567890-sealwright.apps.googleusercontent.com"]
  set_up    = ["user:admin@acme.example"]
}

alert_addresses = ["pki-alerts@acme.example"]
