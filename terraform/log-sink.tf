# Workspace's admin audit log as events. Its entries live at the organization, never in a project, and only while an
# admin shares Workspace data with Google Cloud (docs/deploy.md). Export starts when the sink is made and takes nothing
# from before. What the sink loses `due` finds in the Reports API, and the sweep of the directory finds the rest.
# https://cloud.google.com/logging/docs/audit/configure-gsuite-audit-logs

locals {
  # What functions/wire/audit-entry.ts follows; anything else would be read, written down as ignored, and dropped.
  audit_methods = [
    "createUser",
    "deleteUser",
    "undeleteUser",
    "suspendUser",
    "unsuspendUser",
    "archiveUser",
    "unarchiveUser",
    "renameUser",
    "moveUserToOrgUnit",
    "addNickname",
    "removeNickname",
    "gmailResetUser",
    "userLicenseAssignment",
    "userLicenseRevoke",
    "addGroupMember",
    "removeGroupMember",
    "createUserWithAutoProv",
    "updateAutoProvisionedUser",
    "suspendAutoProvisionedUser",
    "unsuspendAutoProvisionedUser",
    "deleteAutoProvisionedUser",
    "hardDeletedAutoProvisionedUser",
    "deleteGroup",
    "editOrgUnitName",
    "moveOrgUnit",
    "removeOrgUnit",
  ]
}

resource "google_logging_organization_sink" "directory" {
  name        = "sealwright-directory-events"
  org_id      = var.workspace.organization_number
  description = "Changes to Workspace users, for Sealwright"
  destination = "pubsub.googleapis.com/${google_pubsub_topic.topic["directory-events"].id}"

  # The entries are the organization's own; children would add the logs of every project.
  include_children = false

  filter = <<-EOT
    logName="organizations/${var.workspace.organization_number}/logs/cloudaudit.googleapis.com%2Factivity"
    ((protoPayload.serviceName="admin.googleapis.com" AND protoPayload.methodName=~"^google\.admin\.AdminService\.(${join("|", local.audit_methods)})$")
    OR (protoPayload.serviceName="cloudidentity.googleapis.com" AND protoPayload.methodName="google.apps.cloudidentity.groups.v1.MembershipsService.UpdateMembership"))
  EOT
}
