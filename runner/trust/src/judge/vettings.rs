//! Which vetting of a module counts.

use super::{Judge, Refusal, VettingProblem};
use crate::{
    AllowedSigners, Revocation, SignatureError, Signed, Signer, Statement, VETTING_NAMESPACE, Vetting,
};
use runner_model::Digest;
use runner_model::pattern::NamePattern;

/// A revocation that counts, and whose it is.
struct Revoked {
    revocation: Revocation,
    by: String,
}

impl Judge<'_> {
    /// The vetting that counts.
    pub(super) fn vetted(&self) -> Result<Option<(Digest, Vetting)>, Refusal> {
        let Some(wanted) = &self.rules.vetted_by else { return Ok(None) };
        let signers = self.signers()?;
        let revoked = self.revoked(signers, wanted);
        if let Some(Revoked { revocation, by }) =
            revoked.iter().find(|one| one.revocation.of == self.candidate.digest)
        {
            return Err(Refusal::RevokedModule {
                digest: revocation.of,
                by: by.clone(),
                reason: revocation.reason.clone(),
                at: revocation.revoked_at,
            });
        }
        let mut good: Vec<(Digest, Vetting)> = Vec::new();
        let mut problems = Vec::new();
        for signed in &self.candidate.evidence.vettings {
            match self.vetting(signers, wanted, &revoked, signed) {
                Ok(vetting) => good.push((signed.id(), vetting)),
                Err(problem) => problems.push((signed.id(), problem)),
            }
        }
        let newest = good.into_iter().max_by_key(|(id, vetting)| (vetting.reviewed_at, *id));
        match newest {
            Some(vetting) => Ok(Some(vetting)),
            None => {
                let wanted = wanted.iter().map(ToString::to_string).collect();
                let section = self.section();
                Err(match problems.is_empty() {
                    true => Refusal::NotVetted { digest: self.candidate.digest, wanted, section },
                    false => Refusal::BadVetting { problems, wanted, section },
                })
            }
        }
    }

    fn vetting(
        &self,
        signers: &AllowedSigners,
        wanted: &[NamePattern],
        revoked: &[Revoked],
        signed: &Signed,
    ) -> Result<Vetting, VettingProblem> {
        let id = signed.id();
        let signer = self.signer(signers, signed, self.now).map_err(VettingProblem::Signature)?;
        if !signer.is_among(wanted) {
            return Err(VettingProblem::Stranger { signer: signer.to_string() });
        }
        let vetting = Vetting::parse(&signed.statement).map_err(VettingProblem::Statement)?;
        if !signer.is(&vetting.reviewer) {
            return Err(VettingProblem::OtherReviewer {
                reviewer: vetting.reviewer,
                signer: signer.to_string(),
            });
        }
        if vetting.component != self.candidate.digest {
            return Err(VettingProblem::OtherModule { of: vetting.component });
        }
        if self.policy.trust.revoked.contains(&id) {
            return Err(VettingProblem::RevokedByOperator { file: self.policy.file.clone() });
        }
        if let Some(Revoked { revocation, by }) = revoked.iter().find(|one| one.revocation.of == id) {
            return Err(VettingProblem::Revoked {
                by: by.clone(),
                reason: revocation.reason.clone(),
                at: revocation.revoked_at,
            });
        }
        if vetting.expires <= self.now {
            return Err(VettingProblem::Expired { at: vetting.expires });
        }
        // The clocks of two machines are never quite the same.
        let soon = self.now.saturating_add(jiff::SignedDuration::from_mins(10)).unwrap_or(self.now);
        if vetting.reviewed_at > soon {
            return Err(VettingProblem::NotYet { at: vetting.reviewed_at });
        }
        Ok(vetting)
    }

    /// The revocations that somebody who may vet has signed. Others are nobody's business: whoever stores them could add
    /// any.
    fn revoked(&self, signers: &AllowedSigners, wanted: &[NamePattern]) -> Vec<Revoked> {
        let read = |signed: &Signed| {
            let Ok(Statement::Revocation(revocation)) = Statement::parse(&signed.statement) else {
                return None;
            };
            let signer = self
                .signer(signers, signed, self.now)
                .or_else(|_| self.signer(signers, signed, revocation.revoked_at))
                .ok()?;
            signer.is_among(wanted).then(|| Revoked { revocation, by: signer.to_string() })
        };
        self.candidate.evidence.revocations.iter().filter_map(read).collect()
    }

    fn signer(
        &self,
        signers: &AllowedSigners,
        signed: &Signed,
        at: jiff::Timestamp,
    ) -> Result<Signer, SignatureError> {
        signers.verify(VETTING_NAMESPACE, &signed.statement, &signed.signature, at)
    }
}
